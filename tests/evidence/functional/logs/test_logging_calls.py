"""Edits of calls that log or trace: those that are proved harmless, each beside the nearest ones that are not."""

from __future__ import annotations

from hook.evidence.change_classes import ChangeClass as Class
from tests.evidence.functional.rules import HEAD, harmless, not_harmless, proved


def test_the_text_of_logging_calls() -> None:
    harmless('-pr_err("cannot open %s\\n", b->name);', '+pr_err("could not open %s\\n", b->name);', Class.LOG_TEXT)
    harmless('-DBG("own %d\\n", n);', '+DBG("mine %d\\n", n);', Class.LOG_TEXT)
    harmless('-printk(KERN_ERR "100%% of %d\\n", n);', '+printk(KERN_ERR "all 100%%s of %d\\n", n);', Class.LOG_TEXT)
    harmless('-dev_err(b->dev, PREFIX_OF_ALL "no\\n");', '+dev_err(b->dev, PREFIX_OF_ALL "none\\n");', Class.LOG_TEXT)
    harmless('-return dev_err_probe(b->dev, err, "no way\\n");', '+return dev_err_probe(b->dev, err, "none\\n");', Class.LOG_TEXT)
    not_harmless('-return dev_err_probe(b->dev, err, "no way\\n");', '+return dev_err_probe(b->dev, err, "no way %s\\n");')
    not_harmless('-return dev_err_probe(b->dev, err, "no way\\n");', '+return dev_err_probe(b->dev, -ENODEV, "no way\\n");')
    not_harmless('-set(b, "text");', '+set(b, "texts");')


def test_text_that_changes_what_a_logging_call_reads() -> None:
    not_harmless('-pr_info("100 s\\n");', '+pr_info("100\\x25s\\n");')
    not_harmless('-pr_info("100 s\\n");', '+pr_info("100\\45s\\n");')
    not_harmless('-pr_info("100%%s\\n");', '+pr_info("100%s\\n");')
    not_harmless('-pr_info("%.4s\\n", b->name);', '+pr_info("%s\\n", b->name);')
    not_harmless('-pr_info("%p M\\n", b);', '+pr_info("%pM\\n", b);')
    not_harmless('-pr_info("%p" " M\\n", b);', '+pr_info("%p" "M\\n", b);')
    not_harmless('-pr_info("%d %s\\n", n, b->name);', '+pr_info("%s %d\\n", n, b->name);')


def test_text_that_is_more_than_logged() -> None:
    not_harmless('-pr_info("%d", ({ const char *m = "a"; load(m); }));', '+pr_info("%d", ({ const char *m = "b"; load(m); }));')
    not_harmless('-pr_info("%s", b->ops->name("a"));', '+pr_info("%s", b->ops->name("b"));')
    not_harmless('-pr_info("%s", b->name = "a");', '+pr_info("%s", b->name = "b");')
    not_harmless('-pr_info("a" STR(n));', '+pr_info("b" STR(n));')
    not_harmless('-n = printk("a");', '+n = printk("ab");')  # it gives how many characters it printed
    not_harmless('-n = ({ put(b); printk("a"); });', '+n = ({ put(b); printk("ab"); });')
    not_harmless('-n = ({\n#ifdef A\n\tprintk("a");\n#endif\n\t});', '+n = ({\n#ifdef A\n\tprintk("ab");\n#endif\n\t});')
    harmless('-n = ({ printk("a"); put(b); });', '+n = ({ printk("ab"); put(b); });', Class.LOG_TEXT)
    empty = '-n = ({ printk("a"); %s });', '+n = ({ printk("ab"); %s });'
    for last in ("%>", "#ifdef A\n#endif\n" * 6, "far", "far(1)", "far();", ";", "_Static_assert(1);", "\n#ifdef A\n\tput(b);\n#endif\n"):
        not_harmless(*(side.replace("%s", f"\n{last}") for side in empty))
    for last in ("n;", "put(b);", "b->n = 1; far", "if (n) put(b);", 'pr_info("b"); put(b);'):
        edit = [side.replace("%s", last) for side in empty]
        (not_harmless(*edit) if last == "n;" else harmless(*edit, Class.LOG_TEXT))
    not_harmless('-n = BEGIN; printk("a"); END;', '+n = BEGIN; printk("ab"); END;')  # `({` and `})`
    harmless('-n = far; printk("a"); far;', '+n = far; printk("ab"); far;', Class.LOG_TEXT)
    not_harmless('-return n ? 1 : printk("a");', '+return n ? 1 : printk("ab");')
    not_harmless('-RUN(pr_info("a"));', '+RUN(pr_info("b"));')  # a macro may make a string of it
    not_harmless('-pr_info("a");', '+pr_info("b");', HEAD + '#define pr_fmt(fmt) fmt "%d", count++\n')
    not_harmless('-pr_info("a");', '+pr_info("sa");', HEAD + '#define pr_fmt(fmt) "%" fmt\n')


def test_a_local_with_the_name_of_what_a_logger_calls_is_called_in_its_place() -> None:
    for local in ("int (*_printk)(const char *, ...)", "int (*net_ratelimit)(void)", "void (*_dev_err)(void *, const char *, ...)"):
        not_harmless(f'-{local} = b->hook;\n\n\tpr_info("a");', f'+{local} = b->hook;\n\n\tpr_info("b");')
        not_harmless(f'-{local} = b->hook;\n\n\tpr_info("a");', f"+{local} = b->hook;\n")
    for local, log in (
        ("void (*bt_err)(const char *, ...)", "bt_dev_err(b->dev, TEXT);"),
        ("log_fn *bt_err", "bt_dev_err(b->dev, TEXT);"),
        ("void (*sdev_prefix_printk)()", "sdev_printk(KERN_INFO, b->dev, TEXT);"),
        ("void (*__drm_dev_dbg)()", "drm_dbg(b->dev, TEXT);"),
        ("void (*const acpi_handle_printk)()", "acpi_handle_info(b->dev, TEXT);"),
        ("void (*netdev_info)()", "netif_info(b, drv, b->dev, TEXT);"),
        ("void (*(bt_own[2]))(void)", "bt_dev_err(b->dev, TEXT);"),
        ("int *_printk(const char *s, ...) { return take(s); } n", "pr_info(TEXT);"),
    ):
        edit = f"{local} = b->hook;\n\n\t{log}"
        not_harmless("-" + edit.replace("TEXT", '"a"'), "+" + edit.replace("TEXT", '"b"'))
    for local in ("int bt_own", "int netdev_n = n * netdev_count(b); void *hook", "int (*sdev_table)[2]"):
        edit = f"{local} = b->hook;\n\n\tbt_dev_err(b->dev, TEXT);"
        harmless("-" + edit.replace("TEXT", '"a"'), "+" + edit.replace("TEXT", '"b"'), Class.LOG_TEXT)
    harmless('-int (*open)(void) = b->hook;\n\n\tpr_info("a");', '+int (*open)(void) = b->hook;\n\n\tpr_info("b");', Class.LOG_TEXT)
    harmless('-if (printk_ratelimit())\n\t\tprintk(KERN_INFO "a");', '+if (printk_ratelimit())\n\t\tprintk(KERN_ERR "a");', Class.LOG_CALL)


def test_logging_calls() -> None:
    harmless('-pr_err("%d\\n", n);', '+pr_warn_ratelimited("%d\\n", n);', Class.LOG_CALL)
    harmless("-", '+pr_debug("in %s, %d of %zu\\n", __func__, n, sizeof(*b));', Class.LOG_CALL)
    harmless('-if (n)\n\t\tpr_info("open\\n");', '+if (n)\n\t\tpr_debug("open %p\\n", b);', Class.LOG_CALL)
    harmless('-DBG("own %d\\n", n);', "+", Class.LOG_CALL)
    harmless("-", '+pr_info("%d %u\\n", n * 4 + 1, LIMIT_OF_ALL & 0xff);', Class.LOG_CALL)
    harmless("-", '+pr_info("%s %llu\\n", n ? "on" : "off", (unsigned long long)n);', Class.LOG_CALL)
    harmless("-if (n)\n\t\treturn n;", '+if (n) {\n\t\tpr_info("%d\\n", n);\n\t\treturn n;\n\t}', Class.LOG_CALL)
    not_harmless('-pr_notice("a\\n");', '+pr_notice("b\\n");')  # a header of the driver defines it
    not_harmless('-TRACE("calls\\n");', "+")  # its own macro calls something
    not_harmless('-for (err = 0; pr_debug("x"), err < 3; err++)', "+for (err = 0; err < 3; err++)")
    not_harmless("-if (n)\n\t\tput(b);\n\telse", '+if (n)\n\t\tput(b);\n\tpr_info("open\\n");\n\telse')  # no `if` before that `else`
    condition = "#ifdef A\n\telse\n\t\tget(b);\n#endif"
    not_harmless(f"-if (n)\n\t\tput(b);\n{condition}", f'+if (n)\n\t\tput(b);\n\tpr_info("open\\n");\n{condition}')
    not_harmless('-if (n)\n\t\tpr_info("open\\n");\n\telse', '+if (n)\n\t\tpr_info("open\\n");')
    not_harmless('-if (n)\n\t\tpr_info("open\\n");\n\telse\n\t\tb->open = 1;', "+b->open = 1;")
    not_harmless("-WARN_ON(n < 0);", "+")
    not_harmless('-dev_dbg(b->dev, "opened\\n");', "+", HEAD + "#define dev_dbg(dev, fmt) count_up(dev)\n")


def test_logging_calls_that_read_as_much_as_before() -> None:
    harmless('-dev_dbg(b->dev, "%u\\n", b->n);', '+dev_dbg(b->dev, "%llu\\n", (unsigned long long)b->n);', Class.LOG_CALL)
    harmless('-netdev_err(b->dev, "%s %d\\n", b->name, n);', '+netdev_info(b->dev, "%s\\n", b->name);', Class.LOG_CALL)
    harmless('-dev_err(b->dev, "a\\n");', '+dev_err(b->dev, "a\\n");\n\tdev_err(b->dev, "%d\\n", n);', Class.LOG_CALL)
    not_harmless('-dev_dbg(b->dev, "opened\\n");', "+")
    not_harmless('-dev_info(b->dev, "open\\n");', '+dev_dbg(b->dev, "open\\n");')  # it reads the name less often
    not_harmless('-dev_info_once(b->dev, "a\\n");', '+dev_info_once(b->dev, "a\\n");\n\tdev_info(b->dev, "b\\n");')
    not_harmless('-dev_err(b->dev, "a\\n");', '+netdev_err(b->dev, "a\\n");')
    not_harmless('-dev_err(b->dev, "%d\\n", b->n);', '+dev_err(b->dev, "%d\\n", b->next->n);')
    not_harmless('-dev_err(b->dev, "a\\n");\n\tput(b);', '+put(b);\n\tdev_err(b->dev, "a\\n");')
    not_harmless('-if (n) {\n\t\tput(b);\n\t}\n\tdev_err(b->dev, "a");', '+if (n) {\n\t\tput(b);\n\t\tdev_err(b->dev, "a");\n\t}')
    not_harmless("-kfree(b);", '+kfree(b);\n\tpr_info("%d %s\\n", b->n, b->name);')


def test_logging_calls_that_log_less_often_read_nothing_that_can_fault() -> None:
    array = 'static const char Bad[] = "b";\n'
    harmless('-pr_err("%s\\n", Bad);', '+pr_err_ratelimited("%s\\n", Bad);', Class.LOG_CALL, HEAD + array)
    for head in ('static const char Bad[2] = "b";\n', 'static const char *Bad = "b";\n', f"{array}{array}"):
        not_harmless('-pr_err("%s\\n", Bad);', '+pr_err_ratelimited("%s\\n", Bad);', HEAD + head)
    not_harmless('-pr_err("%s %lx\\n", b->name, b->n[n].lo);', '+pr_debug("a %s %lx\\n", b->name, b->n[n].lo);')
    not_harmless('-dev_err(&b->up.dev, "%d\\n", *b->p);', '+dev_err_once(&b->up.dev, "%d\\n", *b->p);')
    not_harmless('-kfree(b);\n\tpr_err("%d\\n", b->n);', '+kfree(b);\n\tpr_debug("%d\\n", b->n);')  # it may be the fix
    harmless('-pr_err("%d\\n", take(b));', '+pr_warn("%d\\n", take(b));', Class.LOG_CALL)  # both evaluate it
    not_harmless('-pr_err("%d\\n", b->n);', "+")
    not_harmless('-pr_err_once("%d\\n", b->n);', '+pr_err_ratelimited("%d\\n", b->n);')
    not_harmless('-pr_err("%d\\n", b->n);', '+pr_debug("%d\\n", b->m);')


def test_members_of_structures_that_are_parameters() -> None:
    def edit(argument: str, head: str = "", type_: str = "swp_entry_t", lines: str = "") -> str:
        before, after = (
            f"{HEAD}{head}\nint g({type_} e)\n{{\n\t{lines}\n\t{log}\n\treturn 1;\n}}\n" for log in ("", f'pr_info("%lx", {argument});')
        )
        return proved(before, after)

    assert edit("e.val") == edit("e.val.lo + 1") == edit("(int)e.val", type_="const struct box") == Class.LOG_CALL
    assert edit("s.val", lines="struct box s = e;") == Class.LOG_CALL
    for argument in (
        "e.val->lo",
        "e.val[1]",
        "e->val",
        "e.far",
        "e.take(1)",
        "e.val++",
        "e.val = 1",
        "e.val.",
        "e",
        "*e.val",
        "(e.val)(1)",
    ):
        assert edit(argument) == "", argument
    assert edit("s.val", lines="struct box s;") == ""  # it is not set
    assert edit("s.val", lines="struct box *s = &e;") == ""
    assert edit("s.val", lines="MACRO s = e;") == ""
    assert edit("e.val", type_="volatile struct box") == ""


def test_arguments_of_logging_calls_that_fault_or_have_an_effect() -> None:
    for argument in (
        "++n", "take(b)", "b->open = 1", "b->next(b)", "b->n", "*b", "b[n]", "table[0]", "100 / n", "n % 3", "*reg", "jiffies", "NEXT_ID",
        "({ n; })", "(n)(3)", "(u8)take(b)", "err", "b.n", "n, n", "1 << n", "unknown", "&LIMIT_OF_ALL", "&n", "&&n", "n == == n", "& &n", "&8", "sizeof(b->n[n++])", "PTR_ERR(b->n)", "n * *reg",
    ):  # fmt: skip
        not_harmless('-pr_err("%d\\n", n);', f'+pr_err("%d\\n", {argument});')
    harmless("-", '+pr_err("%p\\n", &n);', Class.LOG_CALL)
    for conversion in ("%s", "%pI4", "%pM", "%pd", "%pV", "%pU", "%20s", "%.3s", "%ps", "%p4cc"):
        not_harmless("-", f'+pr_err("{conversion}\\n", b);')
    not_harmless("-", '+pr_err("%*ph\\n", n, b);')
    not_harmless("-", '+pr_err("%d %s\\n", n);')  # an argument too few
    not_harmless("-", '+pr_err("%llu %s\\n", n, "a");')  # on 32 bits the string is read from elsewhere
    not_harmless("-", "+pr_err(b);")
    not_harmless("-", '+pr_err("\\x25s\\n");')


def test_names_in_arguments_of_logging_calls_that_mean_something_else() -> None:
    not_harmless("-", '+pr_info("%d", STATE);', HEAD + "#define STATE count++\n")
    not_harmless("-int (*u8)(int) = take;", '+int (*u8)(int) = take;\n\tpr_info("%d", (u8)(3));')
    not_harmless("-volatile int v = 1;", '+volatile int v = 1;\n\tpr_info("%d", v);')
    not_harmless("-reg_t v = 1;", '+reg_t v = 1;\n\tpr_info("%d", v);')  # it may be volatile
    not_harmless("-struct box v = *b;", '+struct box v = *b;\n\tpr_info("%d", v);')
    not_harmless("-int v[4] = { 0 };", '+int v[4] = { 0 };\n\tpr_info("%p", v);')
    not_harmless("-{\n\t\tint v = 1;\n\t}", '+{\n\t\tint v = 1;\n\t}\n\tpr_info("%d", v);')  # that is a global
    not_harmless("-{\n\t\treg_t n = 1;\n\t\tset(n);\n\t}", '+{\n\t\treg_t n = 1;\n\t\tset(n);\n\t\tpr_info("%d", n);\n\t}')
    not_harmless("-#define n count++\n", '+#define n count++\n\tpr_info("%d", n);')


def test_uninitialised_variables_in_a_logging_call() -> None:
    harmless("-n = 2;\n\terr = 3;", '+n = 2;\n\terr = 3;\n\tpr_info("%d", err);', Class.LOG_CALL)
    harmless("-int v = 3;", '+int v = 3;\n\tpr_info("%d", v);', Class.LOG_CALL)
    not_harmless("-int v;", '+int v;\n\tpr_info("%d", v);')
    not_harmless("-if (n)\n\t\terr = 1;", '+if (n)\n\t\terr = 1;\n\tpr_info("%d", err);')
    not_harmless("-if (n) {\n\t\terr = 1;\n\t}", '+if (n) {\n\t\terr = 1;\n\t}\n\tpr_info("%d", err);')
    not_harmless("-goto out;\n\terr = 1;\nout:", '+goto out;\n\terr = 1;\nout:\n\tpr_info("%d", err);')
    not_harmless("-CHECK(n);\n\terr = 1;\nout:", '+CHECK(n);\n\terr = 1;\nout:\n\tpr_info("%d", err);')  # a macro may jump
    not_harmless("-get(&err);", '+get(&err);\n\tpr_info("%d", err);')
    not_harmless("-#ifdef A\n\terr = 1;\n#endif", '+#ifdef A\n\terr = 1;\n#endif\n\tpr_info("%d", err);')
    not_harmless("-for (;; err = 1)\n\t\tset(b);", '+for (;; err = 1) {\n\t\tpr_info("%d", err);\n\t\tset(b);\n\t}')


def test_macros_that_log_for_the_file() -> None:
    call, log = '-dbg("%d\\n", n);', "#define dbg(fmt, ...) pr_debug(fmt, ##__VA_ARGS__)\n"
    harmless(call, "+", Class.LOG_CALL, HEAD + log)
    harmless(call, "+", Class.LOG_CALL, HEAD + '#define dbg(f, a...) do { printk(KERN_INFO "box: " f, ##a); } while (0)\n')
    for own in (
        f"#ifdef A\n{log}#else\nstatic void dbg(const char *fmt, ...) {{ count++; }}\n#endif\n",
        f"{log}#undef dbg\n",
        '#define dbg(fmt, ...) pr_debug("%d " fmt, count++, ##__VA_ARGS__)\n',
        '#define dbg(fmt, ...) pr_debug("%s" fmt, ##__VA_ARGS__)\n',
        "#define dbg(fmt, ...) own_debug(fmt, ##__VA_ARGS__)\n",
        "#define dbg(fmt, ...) do { pr_debug(fmt, ##__VA_ARGS__); count++; } while (0)\n",
        "#define pr_debug(fmt, ...) count++\n" + log,
    ):
        not_harmless(call, "+", HEAD + own)


def test_what_loggers_are_made_of() -> None:
    for own in (
        "#define printk(...) count_up()\n", "#define _printk(...) count_up()\n", "#undef KERN_INFO\n", "#define __dynamic_pr_debug(...) count_up()\n",
        "static void _dev_info(const char *form)\n{\n}\n", "#define ___ratelimit(...) count_up()\n", "#define else else count_up();\n",
        "#define int volatile int\n", "#define pr_\\\ninfo(...) count_up()\n",
    ):  # fmt: skip
        not_harmless("-", '+pr_info("%d\\n", n);', HEAD + own)
    harmless("-", '+pr_info("%d\\n", n);', Class.LOG_CALL, HEAD + "#define box_printk(...) count_up()\n#define DEBUG\n")


def test_a_local_that_is_called_like_a_logger() -> None:
    not_harmless("-void (*netdev_err)(int) = take;", "+void (*netdev_err)(int) = take;\n\tnetdev_err(n);")
    not_harmless('-void (*pr_info)(char *) = take;\n\tpr_info("a");', '+void (*pr_info)(char *) = take;\n\tpr_info("b");')
    not_harmless("-void netdev_err(int k)\n\t{\n\t}", "+void netdev_err(int k)\n\t{\n\t}\n\tnetdev_err(n);")  # a function inside this one
    harmless(
        '-if (n)\n\t\tpr_info("a");\n\telse\n\t\tpr_info("b");', '+if (n)\n\t\tpr_info("a");\n\telse\n\t\tpr_info("%d", n);', Class.LOG_CALL
    )


def test_calls_of_tracepoints() -> None:
    harmless("-trace_box_open(n, sizeof(u32));", "+", Class.TRACEPOINT_CALL)
    not_harmless("-trace_box_open(b->name, n);", "+trace_box_open(b->name, n++);")
    not_harmless("-trace_box_open(b->name, n);", "+")
    not_harmless("-trace_box_open(b);", "+")  # it may read what b points to
    not_harmless("-trace_box_open(take(b));", "+")
    not_harmless("-n = trace_box_open(n);", "+n = 0;")
    not_harmless("-trace_box_hit(b);", "+")  # no tracepoint of that name


def test_a_logging_call_by_which_a_loop_sees_memory_change() -> None:
    log = 'pr_info("waiting");'
    for loop in (
        "while (!b->done) { n++; LOG }",
        "do { n++; LOG } while (!b->done);",
        "for (; n < 9; n++) { if (b->done) break; LOG }",
        "again: n++; LOG if (!b->done) goto again;",
        "while (stop) { n++; LOG }",
        "while (n--) { if (is_done(b)) { LOG } inline_far(n); }",  # of a header: a macro, or an inline function
        "while (strcmp(b->name, name)) { n++; LOG }",
    ):
        head = f"{HEAD}static int is_done(struct box *b)\n{{\n\treturn b->done;\n}}\n"
        not_harmless(f"-{loop.replace('LOG', log)}", f"+{loop.replace('LOG', '')}", head)
        not_harmless(f"-{loop.replace('LOG', log)}", f"+{loop.replace('LOG', log.replace('info', 'debug'))}", head)
        harmless(f"-{loop.replace('LOG', log)}", f"+{loop.replace('LOG', log.replace('info', 'err'))}", Class.LOG_CALL, head)
    for loop in ("while (!b->done) { wait(b); LOG }", "while (n--) { err++; LOG }", "while (!b->done) wait(b); LOG"):
        harmless(f"-{loop.replace('LOG', log)}", f"+{loop.replace('LOG', '')}", Class.LOG_CALL)


def test_a_call_that_may_be_where_others_may_not() -> None:
    harmless('-printk_deferred("a\\n");', '+printk_deferred("b\\n");', Class.LOG_TEXT)
    not_harmless('-printk_deferred("a\\n");', '+printk("a\\n");')
    not_harmless('-printk_deferred("a\\n");', "+")
