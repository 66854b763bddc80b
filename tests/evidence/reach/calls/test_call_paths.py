"""Call paths: from a changed function to what a program can drive, and where a chain proves nothing."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator

import pytest

from hook.evidence.reach.answer import Reach
from hook.evidence.reach.calls import call_paths, interfaces
from hook.kernel import kernel as tree
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.syzlang import checkout
from hook.verdict import Answer
from tests.small_kernel import Kernel

BOUNDS = call_paths.SearchBounds(hops=16, files=400, callers=40, steps=5000)
MAKEFILE = "obj-y += init/ mm/ drivers/ net/ fs/\nobj-$(CONFIG_ONLY_ARM) += arm/\n"
KCONFIG = """
config ONLY_ARM
	bool "arm"
	depends on ARM
config ARM
	bool
config EXTRA
	bool "extra"
config NET_NS
	bool "namespaces"
config BPF_SYSCALL
	bool "bpf"
config PREEMPT_RT
	bool "real time"
"""
CALLS = """
0	common	frob	sys_frob
1	common	others	sys_others
2	common	hidden	sys_hidden
"""
AT_BOOT = "static int __init boot(void)\n{{\n\t{};\n\treturn 0;\n}}\nfs_initcall(boot);\n"


def boot(statement: str) -> str:
    return AT_BOOT.format(statement)


# a file each; the function is `target` with the file's name
ENTRIES = {
    "call": "static void target_call(void) { }\nSYSCALL_DEFINE1(frob, int, x)\n{\n\ttarget_call();\n\treturn 0;\n}\n",
    "exception": "static void target_exception(void) { }\nDEFINE_IDTENTRY(exc_overflow)\n{\n\ttarget_exception();\n}\n",
    "fops": "static int target_fops(struct file *f) { return 0; }\nstatic const struct file_operations a_fops = {\n\t.open = target_fops,\n};\n"
            + boot('debugfs_create_file("a", 0400, NULL, NULL, &a_fops)'),
    "assigned": "static int target_assigned(struct file *f) { return 0; }\nstatic const struct file_operations b_fops = {\n\t.open\t= target_assigned,\n};\n"
                "static void set(struct inode *inode)\n{\n\tinode->i_fop = &b_fops;\n}\nSYSCALL_DEFINE0(others)\n{\n\tset(NULL);\n\treturn 0;\n}\n",
    "chosen": "static int target_chosen(int x) { return x; }\nstruct my_ops { int (*add)(int); };\nstatic const struct my_ops generic_ops = {\n\t.add = target_chosen,\n};\n"
              "static const struct my_ops *chosen_if;\nSYSCALL_DEFINE1(others, int, x)\n{\n\treturn chosen_if->add(x);\n}\n" + boot("chosen_if = &generic_ops"),
    "queued_at_once": "static void target_queued_at_once(struct work_struct *w) { }\nstatic void other(struct work_struct *w) { }\n"
                      "static void add(struct foo *f, struct foo *g)\n{\n\tINIT_WORK(&g->work, other);\n\tINIT_WORK(&f->work, target_queued_at_once);\n"
                      "\tset_bit(0, bits_of(&f->work));\n\tqueue_work(wq, &f->work);\n}\nSYSCALL_DEFINE0(others)\n{\n\tadd(NULL, NULL);\n\treturn 0;\n}\n",
    "either": "static int target_either(struct file *f) { return 0; }\nstatic const struct file_operations e_fops = {\n\t.open = target_either,\n};\n"
              "static int __init boot(void)\n{\n\tconst struct file_operations *fops;\n\n\tfops = root == &one ?\n\t\t&e_fops : &other_fops;\n"
              "\treturn proc_create(\"e\", 0, NULL, fops);\n}\nfs_initcall(boot);\n",
    "nested": "static int target_nested(struct file *f) { return 0; }\nstatic const struct file_operations c_fops = {\n\t.open = target_nested,\n};\n"
              "static struct miscdevice c_misc = {\n\t.fops = &c_fops,\n};\n" + boot("return misc_register(&c_misc)"),
    "show": "static int target_show(struct seq_file *m, void *v) { return 0; }\nDEFINE_SHOW_ATTRIBUTE(target);\n"
            + boot('debugfs_create_file("t", 0400, NULL, NULL, &target_fops)'),
    "attribute": "static ssize_t speed_show(struct device *d) { target_attribute(); }\nstatic DEVICE_ATTR_RO(speed);\n"
                 "static struct attribute *some_attrs[] = {\n\t&dev_attr_speed.attr,\n\tNULL,\n};\nATTRIBUTE_GROUPS(some);\n"
                 + boot("return sysfs_create_groups(k, some_groups)"),
    "kobject": "static ssize_t size_show(struct kobject *k) { target_kobject(); }\nstatic struct kobj_attribute size_attr = __ATTR_RO(size);\n"
               + boot("return sysfs_create_file(k, &size_attr.attr)"),
    "configfs": "static ssize_t foo_bar_store(struct config_item *i) { target_configfs(); }\nCONFIGFS_ATTR_WO(foo_, bar);\n"
                "static struct configfs_attribute *foo_list[] = {\n\t&foo_attr_bar,\n\tNULL,\n};\n" + boot("return configfs_register(foo_list)"),
    "sysctl": "static int target_sysctl(void) { return 0; }\nstatic struct ctl_table t[] = {\n\t{\n\t\t.procname = \"a\",\n\t\t.proc_handler = target_sysctl,\n\t},\n};\n"
              + boot('register_sysctl("kernel", t)'),
    "param": "static int target_param(const char *v) { return 0; }\nstatic const struct kernel_param_ops p_ops = {\n\t.set = target_param,\n};\nmodule_param_cb(p, &p_ops, NULL, 0644);\n",
    "mount": "static int fill(void) { return target_mount(); }\nstatic int get(struct fs_context *fc) { return get_tree_nodev(fc, fill); }\n"
             "static const struct fs_context_operations ops = {\n\t.get_tree = get,\n};\nstatic int init_fc(struct fs_context *fc)\n{\n\tfc->ops = &ops;\n\treturn 0;\n}\n"
             "static struct file_system_type a_type = {\n\t.name = \"afs0\",\n\t.init_fs_context = init_fc,\n};\n" + boot("return register_filesystem(&a_type)"),
    "socket": "static int target_socket(struct sock *s) { return 0; }\nstatic const struct proto_ops s_ops = {\n\t.bind = target_socket,\n};\n"
              "static int make(struct socket *s)\n{\n\ts->ops = &s_ops;\n\treturn 0;\n}\nstatic const struct net_proto_family fam = {\n\t.family = PF_FOO,\n\t.create = make,\n};\n"
              + boot("return sock_register(&fam)"),
    "genl": "static int target_genl(struct sk_buff *s) { return 0; }\nstatic const struct genl_small_ops g_ops[] = {\n\t{\n\t\t.cmd = 1,\n\t\t.doit = target_genl,\n\t},\n};\n"
            "static struct genl_family g = {\n\t.name = \"foo\",\n\t.small_ops = g_ops,\n};\n" + boot("return genl_register_family(&g)"),
    "rtnl": "static int target_rtnl(struct sk_buff *s) { return 0; }\n" + boot("rtnl_register(PF_UNSPEC, RTM_GETFOO, target_rtnl, NULL, 0)"),
    "uring": "static int target_uring(struct io_kiocb *r) { return 0; }\nconst struct io_issue_def io_issue_defs[] = {\n\t[IORING_OP_FOO] = {\n\t\t.issue = target_uring,\n\t},\n};\n",
    "helper": "BPF_CALL_1(bpf_foo, int, x)\n{\n\treturn target_helper();\n}\nconst struct bpf_func_proto bpf_foo_proto = {\n\t.func = bpf_foo,\n};\n"
              "static const struct bpf_func_proto *get_proto(int id)\n{\n\treturn &bpf_foo_proto;\n}\n"
              "const struct bpf_verifier_ops foo_verifier_ops = {\n\t.get_func_proto = get_proto,\n};\n",
    "kfunc": "__bpf_kfunc int bpf_kfoo(int x)\n{\n\treturn target_kfunc();\n}\nBTF_KFUNCS_START(foo_ids)\nBTF_ID_FLAGS(func, bpf_kfoo)\nBTF_KFUNCS_END(foo_ids)\n"
             "static const struct btf_kfunc_id_set foo_set = {\n\t.set = &foo_ids,\n};\n" + boot("return register_btf_kfunc_id_set(1, &foo_set)"),
    "work": "static void target_work(struct work_struct *w) { }\nstatic void arm(struct foo *f)\n{\n\tINIT_WORK(&f->work, target_work);\n\tschedule_work(&f->work);\n}\n"
            "SYSCALL_DEFINE0(others)\n{\n\tarm(NULL);\n\treturn 0;\n}\n",
    "handed_work": "static void target_handed_work(struct work_struct *w) { }\nstatic void enqueue(struct foo *f)\n{\n\tqueue_work(wq, &f->work);\n}\n"
                   "static void arm(struct foo *f, struct foo *g)\n{\n\tINIT_WORK(&f->work, target_handed_work);\n\tINIT_WORK(&g->work, other);\n\tenqueue(f);\n}\n"
                   "SYSCALL_DEFINE0(others)\n{\n\tarm(NULL, NULL);\n\treturn 0;\n}\n",
    "timer": "static void target_timer(struct timer_list *t) { }\nstatic DEFINE_TIMER(tick, target_timer);\nSYSCALL_DEFINE0(others)\n{\n\tmod_timer(&tick, 1);\n\treturn 0;\n}\n",
    "high_timer": "static int target_high_timer(struct hrtimer *t) { return 0; }\nSYSCALL_DEFINE0(others)\n{\n"
                  "\thrtimer_setup(&b->tick, target_high_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);\n\thrtimer_start(&b->tick, 1, HRTIMER_MODE_REL);\n\treturn 0;\n}\n",
    "mapped": "static int target_mapped(struct vm_area_desc *d) { return 0; }\nstatic const struct file_operations m_fops = {\n\t.mmap_prepare = target_mapped,\n};\n"
              + boot('debugfs_create_file("m", 0400, NULL, NULL, &m_fops)'),
    "softirq": "static void target_softirq(void) { }\n" + boot("open_softirq(NET_RX_SOFTIRQ, target_softirq)"),
    "thread": "static int target_thread(void *d) { return 0; }\n" + boot('kthread_run(target_thread, NULL, "food")'),
    "rcu": "static void target_rcu(struct rcu_head *h) { }\nSYSCALL_DEFINE0(others)\n{\n\tcall_rcu(h, target_rcu);\n\treturn 0;\n}\n",
    "netdev": "static int target_netdev(struct net_device *d) { return 0; }\nstatic const struct net_device_ops n_ops = {\n\t.ndo_open = target_netdev,\n};\n"
              "static void setup(struct net_device *d)\n{\n\td->netdev_ops = &n_ops;\n}\nstatic struct rtnl_link_ops l_ops = {\n\t.setup = setup,\n};\n" + boot("return rtnl_link_register(&l_ops)"),
    "lsm": "static int target_lsm(void) { return 0; }\nstatic struct security_hook_list hooks[] = {\n\tLSM_HOOK_INIT(file_open, target_lsm),\n};\n"
           "static int __init lsm_boot(void)\n{\n\tsecurity_add_hooks(hooks, 1, NULL);\n\treturn 0;\n}\nDEFINE_LSM(foo) = {\n\t.init = lsm_boot,\n};\n",
    "notifier": "static int target_notifier(struct notifier_block *b) { return 0; }\nstatic struct notifier_block nb = {\n\t.notifier_call = target_notifier,\n};\n"
                + boot("return register_netdevice_notifier(&nb)"),
    "handed": "static void target_handed(int x) { }\nstatic void each(void (*fn)(int x))\n{\n\tfn(1);\n}\nSYSCALL_DEFINE0(others)\n{\n\teach(target_handed);\n\treturn 0;\n}\n",
    "pointer": "static void target_pointer(int x) { }\nSYSCALL_DEFINE0(others)\n{\n\tvoid (*fn)(int);\n\tfn = target_pointer;\n\tfn(1);\n\treturn 0;\n}\n",
    "alias": "static void target_alias(int x) { }\n#define other_name target_alias /* as on other machines */\nSYSCALL_DEFINE0(others)\n{\n\tother_name(1);\n\treturn 0;\n}\n",
    "branch": "static void target_branch(void) { }\n#undef act\n#ifdef CONFIG_EXTRA\n#define act nothing\n#else\n#define act target_branch\n#endif\n"
              "SYSCALL_DEFINE0(others)\n{\n\tact();\n\treturn 0;\n}\n",
    "macro": "static void target_macro(int x) { }\n#define TWICE(x) do { target_macro(x); target_macro(x); } while (0)\nSYSCALL_DEFINE0(others)\n{\n\tTWICE(1);\n\treturn 0;\n}\n",
    "member": "struct foo_type {\n\tint (*frobnicate)(int x);\n};\nstatic int target_member(int x) { return 0; }\nstatic struct foo_type foo_one = {\n\t.frobnicate = target_member,\n};\n"
              "static void use(struct foo_type *t)\n{\n\tt->frobnicate(1);\n}\nSYSCALL_DEFINE0(others)\n{\n\tuse(NULL);\n\treturn 0;\n}\n" + boot("return foo_add(&foo_one)"),
    "typed": "struct my_ops {\n\tint (*open)(void);\n};\nstruct object {\n\tconst struct my_ops *ops;\n};\nstatic int target_typed(void) { return 0; }\n"
             "static const struct my_ops o = {\n\t.open = target_typed,\n};\nstatic int use(struct object *p)\n{\n\treturn p->ops->open();\n}\n"
             "SYSCALL_DEFINE0(others)\n{\n\treturn use(NULL);\n}\n" + boot("return my_register(&o)"),
    "set_member": "struct my_hooks {\n\tint (*process)(void);\n};\nstatic struct my_hooks hooks;\nstatic int target_set_member(void) { return 0; }\n"
                  "static void copy(struct my_hooks *from)\n{\n\thooks.process = from->process;\n}\nSYSCALL_DEFINE0(others)\n{\n\treturn hooks.process();\n}\n"
                  "static int __init boot(void)\n{\n\tstruct my_hooks set;\n\tset.process = target_set_member;\n\tcopy(&set);\n\treturn 0;\n}\nfs_initcall(boot);\n",
    "stored": "struct holder {\n\tint (*when_done)(void);\n};\nstatic int target_stored(void) { return 0; }\nstatic void keep(struct holder *h, int (*fn)(void))\n{\n\th->when_done = fn;\n}\n"
              "static int finish(struct holder *h)\n{\n\treturn h->when_done();\n}\nSYSCALL_DEFINE1(others, struct holder *, h)\n{\n\tkeep(h, target_stored);\n\treturn finish(h);\n}\n",
    "given_out": "struct kind_ops {\n\tint (*resolve_kind)(int x);\n};\nstatic int target_given_out(int x) { return x; }\nstatic const struct kind_ops a_kind = {\n\t.resolve_kind = target_given_out,\n};\n"
                 "static const struct kind_ops *const kinds[] = {\n\t[1] = &a_kind,\n};\nstatic const struct kind_ops *kind_of(struct type *t)\n{\n\treturn kinds[NR(t->info[0])];\n}\n"
                 "SYSCALL_DEFINE1(others, struct type *, t)\n{\n\treturn kind_of(t)->resolve_kind(1);\n}\n",
    "no_semicolon": "static int target_no_semicolon(struct file *f) { return 0; }\nstatic const struct file_operations z_fops = {\n\t.open = target_no_semicolon,\n};\n"
                    "static int __init boot(void) {\n\tdebugfs_create_file(\"z\", 0400, NULL, NULL, &z_fops);\n\treturn 0;\n}\nmodule_init(boot)\n\nstatic int more(int x) {\n\treturn x;\n}\n",
    "made_table": "#define ENTRY_RO(p) static struct queue_sysfs_entry p##_entry = { .attr = { .name = #p }, .show = p##_show }\n#define PTR(p) (&p##_entry.attr)\n"
                  "static ssize_t pace_show(void)\n{\n\treturn target_made_table();\n}\nENTRY_RO(pace);\nstatic struct attribute *paces[] = {\n\tPTR(pace),\n\tNULL,\n};\n"
                  + boot("return sysfs_create_files(k, paces)"),
    "made_element": "static int target_made_element(void) { return 0; }\n#define PROC(p, dec) [NR_##p] = { .p_decode = target_##dec }\n"
                    "static const struct rpc_procinfo procs[] = {\n\tPROC(CLOSE, made_element),\n};\n" + boot("return rpc_add(procs)"),
    "completion": "static void target_completion(struct bio *b) { }\nstatic void inner(struct bio *b, void (*end)(struct bio *))\n{\n\tb->bi_end_io = end;\n}\n"
                  "static void outer(struct bio *b, void (*fn)(struct bio *))\n{\n\tinner(b, fn);\n}\nSYSCALL_DEFINE0(others)\n{\n\touter(NULL, target_completion);\n\treturn 0;\n}\n",
    "made_function": "static int target_made_function(void) { return 0; }\n#define SHOW(p) \\\nstatic ssize_t p##_show(struct device *d) /* one */ \\\n{ return target_made_function(); }\n"
                     "SHOW(pace);\nstatic DEVICE_ATTR_RO(pace);\n" + boot("return device_create_file(d, &dev_attr_pace)"),
    "set_in_table": "static int target_set_in_table(struct file *f) { return 0; }\nstatic struct file_operations late_fops __ro_after_init;\n"
                    "static int __init boot(void)\n{\n\tlate_fops.open = target_set_in_table;\n\tcdev_init(&c, &late_fops);\n\treturn 0;\n}\nfs_initcall(boot);\n",
    "indexed": "static int target_indexed(int x) { return x; }\nstatic const handler_t handlers[] = {\n\t[1] = target_indexed,\n};\n"
               "SYSCALL_DEFINE1(others, int, x)\n{\n\treturn handlers[x](x);\n}\n",
    "numbered": "static int target_numbered(int x) { return x; }\nstatic const handler_t handlers[] = {\n\tother,\n\ttarget_numbered,\n};\n"
                "SYSCALL_DEFINE1(others, int, x)\n{\n\treturn handlers[1](x);\n}\n",
    "named_element": "static int target_named_element(int x) { return x; }\nstatic const struct step { int (*f)(int); } steps[] = {\n\t[FIRST] = { .f = other },\n"
                     "\t[SECOND] = { .f = target_named_element },\n};\nSYSCALL_DEFINE1(others, int, x)\n{\n\treturn steps[SECOND].f(x);\n}\n",
    "picked": "static int target_picked(int x) { return x; }\nstatic const handler_t handlers[] = {\n\t[1] = target_picked,\n};\n"
              "SYSCALL_DEFINE1(others, int, x)\n{\n\thandler_t h;\n\th = handlers[x];\n\treturn h ? h(x) : 0;\n}\n",
    "pointed": "static int target_pointed(int x) { return x; }\nstruct my_link { int (*f)(int); };\nstruct its_link { int (*f)(int); };\n"
               "static const struct my_link links[4] = {\n\t[1] = { .f = target_pointed },\n};\n"
               "SYSCALL_DEFINE1(others, int, x)\n{\n\tconst struct my_link *link;\n\n\tlink = &links[x];\n\tif (!link->f)\n\t\treturn 0;\n\treturn link->f(x);\n}\n",
    "table_of_boot": "static int target_table_of_boot(struct file *f) { return 0; }\nstatic const struct file_operations x_fops = {\n\t.open = target_table_of_boot,\n};\n"
                     "static int first(void)\n{\n\treturn proc_create(\"x\", 0, NULL, &x_fops);\n}\nstatic const struct seq { int (*f)(void); } all[] = {\n\t{ .f = first },\n};\n"
                     + boot("return all[0].f()"),
    "loop": "static int target_loop(struct file *f) { return 0; }\nstatic const struct file_operations y_fops = {\n\t.open = target_loop,\n};\nstatic int fill_it(void)\n{\n"
            "\tstatic const struct tree_descr files[] = {\n\t\t[3] = {\"register\", &y_fops, 0200},\n\t};\n\treturn simple_fill_super(files);\n}\nSYSCALL_DEFINE0(others)\n{\n\treturn fill_it();\n}\n",
}  # fmt: skip
# functions whose name alone is used above
TARGETS = {"made_table", "attribute", "kobject", "configfs", "mount", "helper", "kfunc"}


def _defined(name: str) -> str:
    return f"static int target_{name}(void)\n{{\n\treturn 0;\n}}\n" if name in TARGETS else ""


# why a chain proves nothing: files, and what is said
OPEN: dict[str, tuple[dict[str, str], str]] = {
    "another file's static function of that name is called": (
        {"fs/a.c": "static void help(void) { }\n", "fs/b.c": "static void help(void) { }\nSYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n"},
        "no call path to help was found",
    ),
    "the table is never registered": (
        {"fs/a.c": "static int help(void) { return 0; }\nstatic const struct file_operations f = {\n\t.open = help,\n};\n"}, "no call path to help was found",
    ),
    "the table is only taken away": (
        {"fs/a.c": "static int help(void) { return 0; }\nstatic struct file_system_type f = {\n\t.init_fs_context = help,\n};\n" + boot("return unregister_filesystem(&f)")},
        "no call path to help was found",
    ),
    "only another architecture calls it": (
        {"fs/a.c": "void help(void) { }\n", "arch/arm64/kernel/b.c": "SYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n"}, "no call path to help was found",
    ),
    "the call is in #if 0": (
        {"fs/a.c": "static void help(void) { }\nSYSCALL_DEFINE0(others)\n{\n#if 0\n\thelp();\n#endif\n\treturn 0;\n}\n"}, "no call path to help was found",
    ),
    "the call is in a comment": ({"fs/a.c": "static void help(void) { }\nSYSCALL_DEFINE0(others)\n{\n\t/* help(); */\n\treturn 0;\n}\n"}, "no call path to help was found"),
    "it runs at boot only": ({"fs/a.c": "static void help(void) { }\n" + boot("help()")}, "boot runs at boot only"),
    "it runs in the thread that goes on with the boot": (
        {"init/main.c": "static void help(void) { }\nstatic int kernel_init(void *unused)\n{\n\thelp();\n\treturn 0;\n}\nvoid rest_init(void)\n{\n\tuser_mode_thread(kernel_init, NULL, 0);\n}\n"},
        "kernel_init runs at boot only",
    ),
    "another name of the function is not called": (
        {"fs/a.c": "static void help(int x) { }\n#define other_name help\nSYSCALL_DEFINE0(others)\n{\n\treturn keep(other_name);\n}\n"}, "whether keep() calls its argument",
    ),
    "another name of the function is taken away again": (
        {"fs/a.c": "static void help(int x) { }\n#define act help\n#undef act\nstatic void act(int x) { }\nSYSCALL_DEFINE0(others)\n{\n\tact(1);\n\treturn 0;\n}\n"},
        "whether macro act calls help",
    ),
    "another name of the function is defined once more": (
        {"fs/a.c": "static void help(int x) { }\n#define act help\n#include <linux/no_act.h>\n#define act nothing\nSYSCALL_DEFINE0(others)\n{\n\tact(1);\n\treturn 0;\n}\n"},
        "whether macro act calls help",
    ),
    "it runs at exit only": (
        {"fs/a.c": "static void help(void) { }\nstatic void __exit leave(void)\n{\n\thelp();\n}\nmodule_exit(leave);\n"}, "leave is __exit",
    ),
    "a structure of its own, and a common member": (
        {"fs/a.c": "struct my_ops {\n\tint (*open)(void);\n};\nstruct other_ops {\n\tint (*open)(void);\n};\nstatic int help(void) { return 0; }\n"
                   "static struct my_ops o = {\n\t.open = help,\n};\n" + boot("return my_register(&o)")},
        "boot runs at boot only",
    ),
    "the object is of another structure": (
        {"fs/a.c": "struct my_ops {\n\tint (*open)(void);\n};\nstruct other_ops {\n\tint (*open)(void);\n};\nstatic int help(void) { return 0; }\n"
                   "static struct my_ops o = {\n\t.open = help,\n};\nSYSCALL_DEFINE1(others, struct other_ops *, p)\n{\n\tstruct other_ops *q = p;\n"
                   "\treturn q->open();\n}\n" + boot("return my_register(&o)")},
        "boot runs at boot only",
    ),
    "the object is of a structure that another file has for itself": (
        {"fs/a.c": "struct my_ops {\n\tint (*open)(void);\n};\nstatic int help(void) { return 0; }\nstatic struct my_ops o = {\n\t.open = help,\n};\n"
                   + boot("return my_register(&o)"),
         "fs/b.c": "struct my_ops {\n\tint (*open)(void);\n\tint more;\n};\nSYSCALL_DEFINE0(others)\n{\n\tstruct my_ops *q = NULL;\n\treturn q->open();\n}\n"},
        "boot runs at boot only",
    ),
    "an array of functions that is only measured": (
        {"fs/a.c": "static int help(int x) { return x; }\nstatic const handler_t handlers[] = {\n\t[1] = help,\n};\n"
                   "SYSCALL_DEFINE1(others, int, x)\n{\n\thandler_t h = handlers[x];\n\tif (handlers[x])\n\t\t(void)x;\n\tif (h)\n\t\t(void)x;\n\treturn h != NULL;\n}\n"},
        "who calls in handlers",
    ),
    "another element of the array is called": (
        {"fs/a.c": "static int help(int x) { return x; }\nstatic const handler_t handlers[] = {\n\tother,\n\thelp,\n};\n"
                   "SYSCALL_DEFINE1(others, int, x)\n{\n\treturn handlers[0](x);\n}\n"},
        "whether element 0 is the one",
    ),
    "the member of another element of the array is called": (
        {"fs/a.c": "static int help(int x) { return x; }\nstatic const struct step { int (*f)(int); } steps[] = {\n\t[FIRST] = { .f = other },\n"
                   "\t[SECOND] = { .f = help },\n};\nSYSCALL_DEFINE1(others, int, x)\n{\n\treturn steps[FIRST].f(x);\n}\n"},
        "whether element FIRST is the one",
    ),
    "a parameter has the name of the array": (
        {"fs/a.c": "static int help(int x) { return x; }\nstatic const handler_t handlers[] = {\n\thelp,\n};\n"
                   "static int run(int (*handlers[])(int), int x)\n{\n\treturn handlers[x](x);\n}\n"
                   "SYSCALL_DEFINE1(others, int, x)\n{\n\treturn run(NULL, x);\n}\n"},
        "no call path to help was found",
    ),
    "another structure with a function of the name, behind a comment": (
        {"fs/a.c": "struct foo_type {\n\tint (*poke)(int x);\n};\nstatic int help(int x) { return 0; }\n"
                   "static struct foo_type one = {\n\t.poke = help,\n};\nstatic void use(struct bar_type *t)\n{\n\tt->poke(1);\n}\n"
                   "SYSCALL_DEFINE0(others)\n{\n\tuse(NULL);\n\treturn 0;\n}\n" + boot("return foo_add(&one)"),
         "fs/bar.h": "struct bar_type {\n\tint (*poke /* harder */)(int x);\n};\n"},
        "boot() passes one to foo_add()",
    ),
    "the member's table is not registered": (
        {"fs/a.c": "struct my_ops {\n\tint (*opening)(void);\n};\nstatic int help(void) { return 0; }\nstatic struct my_ops o = {\n\t.opening = help,\n};\n"
                   "static void use(struct my_ops *p)\n{\n\tp->opening();\n}\nSYSCALL_DEFINE0(others)\n{\n\tuse(NULL);\n\treturn 0;\n}\n"},
        "whether o is registered",
    ),
    "the pointer to an element is set to something else before the call": (
        {"fs/a.c": "static int help(int x) { return x; }\nstruct my_link { int (*f)(int); };\nstruct its_link { int (*f)(int); };\n"
                   "static const struct my_link links[4] = {\n\t[1] = { .f = help },\n};\nSYSCALL_DEFINE2(others, int, x, struct its_link *, p)\n{\n"
                   "\tconst void *link = &links[x];\n\n\tif (!link)\n\t\treturn 0;\n\tlink = p;\n\treturn link->f(x);\n}\n"},
        "who calls .f of struct my_link links",
    ),
    "the member of another element, by a pointer": (
        {"fs/a.c": "static int help(int x) { return x; }\nstruct my_link { int (*f)(int); };\nstruct its_link { int (*f)(int); };\n"
                   "static const struct my_link links[4] = {\n\t[FIRST] = { .f = help },\n};\nSYSCALL_DEFINE1(others, int, x)\n{\n"
                   "\tconst struct my_link *link = &links[SECOND];\n\n\treturn link->f(x);\n}\n"},
        "whether element SECOND is the one",
    ),
    "the chain would need an object with two tables": (
        {"fs/a.c": "struct my_ops {\n\tint (*opening)(void);\n\tint (*closing)(void);\n};\nstatic int help(void) { return 0; }\n"
                   "static struct my_ops one = {\n\t.opening = help,\n};\nstatic int shut(struct my_ops *p)\n{\n\treturn p->opening();\n}\n"
                   "static struct my_ops two = {\n\t.closing = shut,\n};\nSYSCALL_DEFINE0(others)\n{\n\treturn x->closing();\n}\n"
                   "static int __init boot(void)\n{\n\tmy_register(&one);\n\tmy_register(&two);\n\treturn 0;\n}\nfs_initcall(boot);\n"},
        "whether one object can have both tables",
    ),
    "a file system that is never registered": (
        {"fs/a.c": "static int help(void) { return 0; }\nstatic struct file_system_type f = {\n\t.init_fs_context = help,\n};\n"
                   "static struct version v = {\n\t.fs = &f,\n};\n" + boot("return version_register(&v)")},
        "belongs to a registered file system",
    ),
    "a variable of that name is called": (
        {"fs/a.c": "void help(void) { }\n", "fs/b.c": "SYSCALL_DEFINE0(others)\n{\n\tvoid (*help)(void) = NULL;\n\thelp();\n\treturn 0;\n}\n"}, "no call path to help was found",
    ),
    "no kernel for the target is built with the caller": (
        {"fs/a.c": "void help(void) { }\n", "arm/b.c": "SYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n", "arm/Makefile": "obj-y += b.o\n"},
        "no configuration was found",
    ),
    "no makefile names the caller": ({"fs/a.c": "void help(void) { }\n", "fs/loose.c": "SYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n"}, "no makefile names fs/loose.c"),
    "two files that are built define it": (
        {"fs/a.c": "void help(void) { }\n", "fs/b.c": "void help(void) { }\n", "mm/pool2.c": "SYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n",
         "mm/Makefile": "obj-y += pool2.o\n"},
        "whether help of fs/b.c:1 is meant",
    ),
    "the system call has no entry in the target's table": (
        {"fs/a.c": "static void help(void) { }\nSYSCALL_DEFINE0(unlisted)\n{\n\thelp();\n\treturn 0;\n}\n"}, "no table of system calls for x86_64",
    ),
    "a variable of the function, which only looks at the table": (
        {"fs/a.c": "static int help(int x) { return x; }\nstruct my_ops { int (*add)(int); };\nstatic const struct my_ops generic_ops = {\n\t.add = help,\n};\n"
                   "static const struct my_ops *chosen_if;\nSYSCALL_DEFINE1(others, int, x)\n{\n\treturn chosen_if->add(x);\n}\n"
                   "static int __init boot(void)\n{\n\tconst struct my_ops *chosen_if;\n\tchosen_if = &generic_ops;\n\treturn chosen_if != NULL;\n}\nfs_initcall(boot);\n"},
        "whether generic_ops is registered",
    ),
    "it is tied to another function before it is queued": (
        {"fs/a.c": "static void help(struct work_struct *w) { }\nstatic void other(struct work_struct *w) { }\nstatic void add(struct foo *f)\n{\n"
                   "\tINIT_WORK(&f->work, help);\n\tINIT_WORK(&f->work, other);\n\tqueue_work(wq, &f->work);\n}\nSYSCALL_DEFINE0(others)\n{\n\tadd(NULL);\n\treturn 0;\n}\n"},
        "more than one thing",
    ),
    "it is handed to something that keeps it": (
        {"fs/a.c": "static void help(void) { }\nstatic void keep(void *f)\n{\n\tkept = f;\n}\nSYSCALL_DEFINE0(others)\n{\n\tkeep(help);\n\treturn 0;\n}\n"},
        "whether keep() calls its argument",
    ),
    "a variable that is only looked at": (
        {"fs/a.c": "static void help(int x) { }\nSYSCALL_DEFINE1(others, int, x)\n{\n\tvoid (*fn)(int);\n\tfn = help;\n\tif (fn)\n\t\t(void)x;\n\treturn 0;\n}\n"},
        "who calls fn",
    ),
    "it is handed to something that only looks at it": (
        {"fs/a.c": "static void help(int x) { }\nstatic void keep(void (*f)(int), int x)\n{\n\tif (f)\n\t\t(void)x;\n}\n"
                   "SYSCALL_DEFINE1(others, int, x)\n{\n\tkeep(help, x);\n\treturn 0;\n}\n"},
        "whether keep() calls its argument",
    ),
    "the boot code of a driver may look for hardware": (
        {"drivers/net/tinynet.c": "static int help(struct file *f) { return 0; }\nstatic const struct file_operations f = {\n\t.open = help,\n};\n" + boot('debugfs_create_file("a", 0, NULL, NULL, &f)')},
        "needs hardware first",
    ),
    "a module parameter without permissions is read at boot": (
        {"fs/a.c": "static int help(const char *v) { return 0; }\nstatic const struct kernel_param_ops p = {\n\t.set = help,\n};\nmodule_param_cb(p, &p, NULL, 0);\n"},
        "no call path to help was found",
    ),
    "a softirq that nothing is known of": (
        {"fs/a.c": "static void help(void) { }\n" + boot("open_softirq(FOO_SOFTIRQ, help)")}, "who raises that softirq",
    ),
    "a table that is only looked at": (
        {"fs/a.c": "static int help(struct file *f) { return 0; }\nstatic const struct file_operations f = {\n\t.open = help,\n};\n"
                   "SYSCALL_DEFINE0(others)\n{\n\tconst struct file_operations *seen = &f;\n\treturn seen->open != NULL;\n}\n"},
        "what sys_others() does with seen",
    ),
    "a driver's attributes without a device": (
        {"fs/a.c": "static int help(struct file *f) { return 0; }\nstatic const struct file_operations f = {\n\t.open = help,\n};\n"
                   "static struct platform_driver d = {\n\t.fops = &f,\n};\nmodule_platform_driver(d);\n"},
        "whether d has a device",
    ),
    "boot code hands it to what calls it at once": (
        {"fs/a.c": "static int help(void *d) { return 0; }\n" + boot("iget5_locked(sb, 1, help, NULL, NULL)")}, "boot runs at boot only",
    ),
    "a machine check is no doing of a program": (
        {"fs/a.c": "static void help(void) { }\nDEFINE_IDTENTRY_MCE(exc_machine_check)\n{\n\thelp();\n}\n"}, "no call path to help was found",
    ),
    "another object is handed to what queues": (
        {"fs/a.c": "static void help(struct work_struct *w) { }\nstatic void enqueue(struct foo *f)\n{\n\tqueue_work(wq, &f->work);\n}\n"
                   "static void arm(struct foo *f, struct foo *g)\n{\n\tINIT_WORK(&f->work, help);\n\tINIT_WORK(&g->work, other);\n\tf = g;\n\tenqueue(f);\n\tenqueue(g);\n}\n"
                   "SYSCALL_DEFINE0(others)\n{\n\tarm(NULL, NULL);\n\treturn 0;\n}\n"},
        "more than one thing",
    ),
    "a loop sets the variable before it is handed on": (
        {"fs/a.c": "static void help(struct work_struct *w) { }\nstatic void enqueue(struct foo *f)\n{\n\tqueue_work(wq, &f->work);\n}\n"
                   "static void arm(struct foo *f)\n{\n\tINIT_WORK(&f->work, help);\n\tINIT_WORK(&g->work, other);\n\tlist_for_each_entry(f, &heads, list)\n\t\tenqueue(f);\n}\nSYSCALL_DEFINE0(others)\n{\n\tarm(NULL);\n\treturn 0;\n}\n"},
        "more than one thing",
    ),
    "the work item is tied to another function before it is handed on": (
        {"fs/a.c": "static void help(struct work_struct *w) { }\nstatic void enqueue(struct foo *f)\n{\n\tqueue_work(wq, &f->work);\n}\n"
                   "static void arm(struct foo *f)\n{\n\tINIT_WORK(&f->work, help);\n\tINIT_WORK(&f->work, other);\n\tenqueue(f);\n}\nSYSCALL_DEFINE0(others)\n{\n\tarm(NULL);\n\treturn 0;\n}\n"},
        "more than one thing",
    ),
    "the block of the tie has ended": (
        {"fs/a.c": "static void help(struct work_struct *w) { }\nstatic void enqueue(struct foo *f)\n{\n\tqueue_work(wq, &f->work);\n}\n"
                   "static void arm(struct foo *f)\n{\n\tif (hw) {\n\t\tINIT_WORK(&f->work, help);\n\t\treturn;\n\t}\n\tINIT_WORK(&f->work, other);\n\tenqueue(f);\n}\nSYSCALL_DEFINE0(others)\n{\n\tarm(NULL);\n\treturn 0;\n}\n"},
        "more than one thing",
    ),
    "what gets the object queues another member": (
        {"fs/a.c": "static void help(struct work_struct *w) { }\nstatic void enqueue(struct foo *f)\n{\n\tqueue_work(wq, &f->more);\n}\n"
                   "static void arm(struct foo *f)\n{\n\tINIT_WORK(&f->work, help);\n\tenqueue(f);\n}\nSYSCALL_DEFINE0(others)\n{\n\tarm(NULL);\n\treturn 0;\n}\n"},
        "no call path to help was found",
    ),
    "what sets the member never runs": (
        {"fs/a.c": "struct my_hooks {\n\tint (*process)(void);\n};\nstatic struct my_hooks hooks;\nstatic int help(void) { return 0; }\n"
                   "static void set(void)\n{\n\thooks.process = help;\n}\nSYSCALL_DEFINE0(others)\n{\n\treturn hooks.process();\n}\n"},
        "whether set() runs",
    ),
    "what has the member set never runs": (
        {"fs/a.c": "struct holder {\n\tint (*when_done)(void);\n};\nstatic int help(void) { return 0; }\nstatic void keep(struct holder *h, int (*fn)(void))\n{\n\th->when_done = fn;\n}\n"
                   "static void set(void)\n{\n\tkeep(NULL, help);\n}\nSYSCALL_DEFINE1(others, struct holder *, h)\n{\n\tkeep(h, NULL);\n\treturn h->when_done();\n}\n"},
        "whether set() runs",
    ),
    "functions of one name give objects of two structures": (
        {"fs/a.c": "#include <linux/proto.h>\nstatic int help(void) { return 0; }\nstatic struct my_ops o = {\n\t.open = help,\n};\n" + boot("return my_register(&o)"),
         "fs/b.c": "#include <linux/proto.h>\nSYSCALL_DEFINE0(others)\n{\n\treturn ops_of(NULL)->open();\n}\n",
         "include/linux/proto.h": "struct my_ops {\n\tint (*open)(void);\n};\nstatic inline struct my_ops *ops_of(void *x) { return x; }\n",
         "include/linux/other.h": "struct other_ops {\n\tint (*open)(void);\n};\nstatic inline struct other_ops *ops_of(void *x) { return x; }\n"},
        "boot runs at boot only",
    ),
    "the macro that would define the table has two definitions": (
        {"fs/a.c": "#ifdef CONFIG_EXTRA\n#define ENTRY_RO(p) static struct queue_sysfs_entry p##_entry = { .show = p##_show }\n#else\n#define ENTRY_RO(p) int p##_unused[] = { 0 }\n#endif\n"
                   "static int help(void) { return 0; }\nstatic ssize_t pace_show(void)\n{\n\treturn help();\n}\nENTRY_RO(pace);\n" + boot("return sysfs_create_file(k, &pace_entry.attr)")},
        "no call path to help was found",
    ),
    "the macro defines two functions": (
        {"fs/a.c": "static int help(void) { return 0; }\n#define BOTH(p) static int p##_get(struct file *f) { return 0; } static int p##_set(void) { return help(); }\n"
                   "BOTH(pace);\nstatic const struct file_operations f = {\n\t.open = pace_get,\n};\n" + boot("return debugfs_create_file(0, 0, 0, 0, &f)")},
        "no call path to help was found",
    ),
    "a parameter has the name of the table": (
        {"fs/a.c": "struct my_ops {\n\tint (*open)(void);\n};\nstruct other_ops {\n\tint (*open)(void);\n};\nstatic int help(void) { return 0; }\nstatic struct my_ops ops = {\n\t.open = help,\n};\n"
                   "static int use(struct other_ops *ops)\n{\n\treturn ops->open();\n}\nSYSCALL_DEFINE0(others)\n{\n\treturn use(NULL);\n}\n"},
        "no call path to help was found",
    ),
    "another file has a table of that name": (
        {"fs/a.c": "struct my_ops {\n\tint (*open)(void);\n};\nstatic int help(void) { return 0; }\nstruct my_ops the_ops = {\n\t.open = help,\n};\n",
         "fs/b.c": "struct other_ops {\n\tint (*open)(void);\n};\nstatic struct other_ops the_ops;\nSYSCALL_DEFINE0(others)\n{\n\treturn the_ops.open();\n}\n"},
        "no call path to help was found",
    ),
    "a variable of the file, hidden by one of another structure": (
        {"fs/a.c": "struct my_hooks {\n\tint (*process)(void);\n};\nstruct other_hooks {\n\tint (*process)(void);\n};\nstatic struct my_hooks hooks;\nstatic int help(void) { return 0; }\n"
                   "SYSCALL_DEFINE0(others)\n{\n\tstruct other_hooks hooks;\n\treturn hooks.process();\n}\n" + boot("hooks.process = help")},
        "boot runs at boot only",
    ),
    "only a member of the table is returned": (
        {"fs/a.c": "struct kind_ops {\n\tint (*resolve_kind)(int x);\n\tint flag;\n};\nstatic int help(int x) { return x; }\nstatic const struct kind_ops a_kind = {\n\t.resolve_kind = help,\n};\n"
                   "static int flag_of(void)\n{\n\treturn a_kind.flag;\n}\nSYSCALL_DEFINE1(others, struct kind_ops *, k)\n{\n\treturn flag_of() + k->resolve_kind(1);\n}\n"},
        "whether a_kind is registered",
    ),
    "the table that is returned is used by nobody": (
        {"fs/a.c": "struct kind_ops {\n\tint (*resolve_kind)(int x);\n};\nstatic int help(int x) { return x; }\nstatic const struct kind_ops a_kind = {\n\t.resolve_kind = help,\n};\n"
                   "static const struct kind_ops *kind_of(void)\n{\n\treturn &a_kind;\n}\nSYSCALL_DEFINE1(others, struct kind_ops *, k)\n{\n\tconst struct kind_ops *a = kind_of();\n"
                   "\tif (IS_ERR(a) || !kind_of())\n\t\treturn 0;\n\treturn k->resolve_kind(1);\n}\n"},
        "whether a_kind is registered",
    ),
    "only what a member of the parameter points to is stored": (
        {"fs/a.c": "struct holder {\n\tint (*when_done)(void);\n};\nstatic int help(void) { return 0; }\nstatic void keep(struct holder *h, struct holder *p)\n{\n\th->when_done = p->when_done;\n}\n"
                   "SYSCALL_DEFINE1(others, struct holder *, h)\n{\n\tkeep(h, help);\n\treturn h->when_done();\n}\n"},
        "whether keep() calls its argument",
    ),
    "the parameter is set before it is stored": (
        {"fs/a.c": "struct holder {\n\tint (*when_done)(void);\n};\nstatic int help(void) { return 0; }\nstatic void keep(struct holder *h, int (*fn)(void))\n{\n\tfn = NULL;\n\th->when_done = fn;\n}\n"
                   "SYSCALL_DEFINE1(others, struct holder *, h)\n{\n\tkeep(h, help);\n\treturn h->when_done();\n}\n"},
        "whether keep() calls its argument",
    ),
    "it is stored in one object, and that of another is called": (
        {"fs/a.c": "struct holder {\n\tint (*when_done)(void);\n};\nstruct pair {\n\tstruct holder first, second;\n};\nstatic int help(void) { return 0; }\n"
                   "static void keep(struct holder *h, int (*fn)(void))\n{\n\th->when_done = fn;\n}\n"
                   "SYSCALL_DEFINE1(others, struct pair *, p)\n{\n\tkeep(&p->first, help);\n\tkeep(&p->second, NULL);\n\treturn p->second.when_done();\n}\n"},
        "whether it is set in second, or in another object",
    ),
    "the member of one variable is set, and that of another is called": (
        {"fs/a.c": "struct my_hooks {\n\tint (*process)(void);\n};\nstatic struct my_hooks one, two;\nstatic int help(void) { return 0; }\n"
                   "SYSCALL_DEFINE0(others)\n{\n\treturn two.process();\n}\n" + boot("one.process = help")},
        "whether it is set in two, or in another object",
    ),
    "the macro that would call it has two definitions in its file": (
        {"fs/a.c": "static void help(void) { }\n#ifdef CONFIG_EXTRA\n#define EACH(fn) fn()\n#else\n#define EACH(fn) do { } while (0)\n#endif\n"
                   "SYSCALL_DEFINE0(others)\n{\n\tEACH(help);\n\treturn 0;\n}\n"},
        "whether EACH() calls its argument",
    ),
    "one of five functions of the name does not call it": (
        {"fs/a.c": "static void help(void) { }\nSYSCALL_DEFINE0(others)\n{\n\teach(help);\n\treturn 0;\n}\n",
         **{f"fs/e{number}.c": f"void each(void (*fn)(void))\n{{\n\t{'fn()' if number < 4 else 'return'};\n}}\n" for number in range(5)}},
        "whether each() calls its argument",
    ),
    "a queue that holds two things": (
        {"fs/a.c": "static void help(void *w) { }\nstatic void other(void *w) { }\nSYSCALL_DEFINE0(others)\n{\n\tINIT_WORK(&a->work, help);\n\tINIT_WORK(&b->work, other);\n\tschedule_work(&b->work);\n\treturn 0;\n}\n"},
        "more than one thing",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(first_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    """One tree with a file for each kind of entry, and the word index."""
    kernel = _copy(first_kernel, tmp_path_factory.mktemp("call-paths"))
    for name, text in ENTRIES.items():
        kernel.write(f"fs/{name}.c", _defined(name) + text.replace("others", f"{name}0"))
    kernel.write("arch/x86/entry/syscalls/syscall_64.tbl", CALLS + "".join(f"9\tcommon\t{name}0\tsys_{name}0\n" for name in ENTRIES))
    kernel.write("fs/Makefile", "".join(f"obj-y += {name}.o\n" for name in ENTRIES))
    _commit(kernel)
    return kernel


def _copy(first_kernel: Kernel, directory: pathlib.Path) -> Kernel:
    shutil.copytree(first_kernel.path, directory / "linux", symlinks=True)
    kernel = Kernel(directory / "linux", first_kernel.env)
    kernel.write("Makefile", MAKEFILE)
    kernel.write("Kconfig", kernel.read("Kconfig") + KCONFIG)
    kernel.write("arch/x86/entry/syscalls/syscall_64.tbl", CALLS)
    kernel.write("fs/Makefile", "obj-y += a.o b.o\nobj-$(CONFIG_EXTRA) += extra.o\n")
    return kernel


def _commit(kernel: Kernel) -> None:
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "grown")
    kernel.triage("index", "--quiet")


@pytest.fixture
def searched(made: Kernel) -> Iterator[Source]:
    with Objects(find(made.path), 16 << 20) as objects:
        yield Source(objects, made.head())


@pytest.fixture
def plant(first_kernel: Kernel, tmp_path: pathlib.Path) -> Iterator[Planted]:
    with Planted(_copy(first_kernel, tmp_path)) as planted:
        yield planted


class Planted:
    """A tree of a few files, to be asked for the call paths to a function."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def __enter__(self) -> Planted:
        self._objects = Objects(find(self.kernel.path), 16 << 20).__enter__()
        return self

    def __exit__(self, *args: object) -> None:
        self._objects.__exit__(None, None, None)

    def commit(self, files: dict[str, str]) -> Source:
        for path, text in files.items():
            self.kernel.write(path, text)
        self.kernel.git("add", "-A", "-f")
        self.kernel.git("commit", "-qm", "grown")
        return Source(self._objects, self.kernel.head())

    def reach(self, files: dict[str, str], name: str = "help", path: str = "", bounds: call_paths.SearchBounds = BOUNDS) -> Reach:
        return reach(self.commit(files), path or next(iter(files)), name, bounds)


def reach(source: Source, path: str, name: str, bounds: call_paths.SearchBounds = BOUNDS, base: str | None = None) -> Reach:
    search = call_paths.CallPathSearch(source, tree.Kernel(source, "x86_64", "gcc-12", base), bounds)
    return call_paths.reach([(path, name)], search)


@pytest.mark.parametrize("name", ENTRIES)
def test_each_kind_of_entry_proves_a_call_path(searched: Source, name: str) -> None:
    found = reach(searched, f"fs/{name}.c", "target_show" if name == "show" else f"target_{name}")
    assert found.answer is Answer.YES, found.question
    assert all(fact.place.line and fact.place.blob and fact.text for fact in found.facts), found.facts


def test_each_hop_is_shown_with_its_place_from_user_space_down(searched: Source) -> None:
    facts = reach(searched, "fs/assigned.c", "target_assigned").facts
    assert [(fact.claim, fact.place.path, fact.place.line) for fact in facts] == [
        ("system call assigned0", "arch/x86/entry/syscalls/syscall_64.tbl", 8),
        ("sys_assigned0() calls set()", "fs/assigned.c", 11),
        ("set() sets i_fop to b_fops", "fs/assigned.c", 7),
        ("open, read, write, ioctl, mmap: target_assigned() is .open of struct file_operations b_fops", "fs/assigned.c", 3),
    ]


@pytest.mark.parametrize("why", OPEN)
def test_what_a_chain_does_not_prove_stays_open(plant: Planted, why: str) -> None:
    files, said = OPEN[why]
    path = next(iter(files))
    found = plant.reach(files, path=path)
    assert found.answer is Answer.UNKNOWN
    assert said in found.question, found.question


def test_the_options_of_every_hop_are_asked_for_with_their_places(plant: Planted) -> None:
    found = plant.reach(
        {
            "fs/a.c": "void help(void) { }\n",
            "fs/extra.c": "SYSCALL_DEFINE0(others)\n{\n#ifdef CONFIG_POOL\n\thelp();\n#endif\n\treturn 0;\n}\n",
        }
    )
    assert found.answer is Answer.YES
    assert {name: (why.purpose, why.path, why.line) for name, why in found.reasons.items()} == {
        "EXTRA": ("reach", "fs/Makefile", 2),
        "POOL": ("reach", "fs/extra.c", 3),
    }


def test_a_path_through_another_flavour_of_the_kernel_proves_nothing(plant: Planted) -> None:
    text = "SYSCALL_DEFINE0(others)\n{\n#ifdef CONFIG_PREEMPT_RT\n\thelp();\n#endif\n\treturn 0;\n}\n"
    found = plant.reach({"fs/a.c": "void help(void) { }\n", "fs/b.c": text})
    assert found.answer is Answer.UNKNOWN and "no configuration was found" in found.question
    again = plant.reach({"fs/a.c": "void help(void) { }\n", "fs/b.c": text.replace("PREEMPT_RT", "POOL")})
    assert (again.answer, list(again.reasons)) == (Answer.YES, ["POOL"])


def test_the_stub_of_a_header_must_be_off(plant: Planted) -> None:
    found = plant.reach(
        {
            "fs/extra.c": "void help(void) { }\n",
            "include/linux/help.h": "#ifdef CONFIG_EXTRA\nvoid help(void);\n#else\nstatic inline void help(void) { }\n#endif\n",
            "fs/b.c": "SYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n",
        }
    )
    assert (found.answer, list(found.reasons)) == (Answer.YES, ["EXTRA"])


def test_the_object_that_a_function_of_a_header_gives_is_of_its_structure(plant: Planted) -> None:
    found = plant.reach(
        {
            "fs/a.c": "static int help(void) { return 0; }\nstatic struct my_ops o = {\n\t.open = help,\n};\n"
            + boot("return my_register(&o)"),
            "fs/b.c": "SYSCALL_DEFINE0(others)\n{\n\treturn ops_of(NULL)->open();\n}\n",
            "include/linux/proto.h": "struct my_ops {\n\tint (*open)(void);\n};\nstatic inline struct my_ops *ops_of(void *x) { return x; }\n",
            "include/linux/other.h": "struct other_ops {\n\tint (*open)(void);\n};\n",
        }
    )
    assert found.answer is Answer.YES, found.question


def test_a_path_keeps_to_the_table_that_holds_the_function(plant: Planted) -> None:
    one, two = (
        f"static int {name}_work(void) {{ return {call}; }}\nstatic const struct inode_operations {name}_dir = {{\n\t.mkdir = enter,\n}};\n"
        f"static struct version_ops {name} = {{\n\t.dir_ops = &{name}_dir,\n\t.working = {name}_work,\n}};\n"
        for name, call in (("one", "0"), ("two", "help()"))
    )
    found = plant.reach(
        {
            "fs/a.c": "struct version_ops {\n\tconst struct inode_operations *dir_ops;\n\tint (*working)(void);\n};\nstatic int help(void) { return 0; }\n"
            "static int enter(struct version_ops *v)\n{\n\treturn v->working();\n}\n"
            + one
            + two
            + "static int __init boot(void)\n{\n\tadd_version(&one);\n\tadd_version(&two);\n\treturn 0;\n}\nfs_initcall(boot);\n"
        }
    )
    assert found.answer is Answer.YES, found.question
    assert not any("one" in fact.claim.replace("one of", "") for fact in found.facts), found.facts


def test_a_table_that_others_see_is_called_by_its_name(plant: Planted) -> None:
    found = plant.reach(
        {
            "fs/a.c": "static int help(void) { return 0; }\nstruct my_ops the_ops = {\n\t.open = help,\n};\n",
            "fs/b.c": "SYSCALL_DEFINE0(others)\n{\n\treturn the_ops.open();\n}\n",
            "include/linux/my.h": "struct my_ops {\n\tint (*open)(void);\n};\nextern struct my_ops the_ops;\n",
        }
    )
    assert found.answer is Answer.YES, found.question


def test_a_member_is_of_its_structure_where_its_declaration_aligns_it(plant: Planted) -> None:
    text = "struct holder {\n\tstruct packet_type hook ____cacheline_aligned_in_smp;\n};\nstatic int help(void) { return 0; }\n"
    text += "static int keep(struct holder *h)\n{\n\th->hook.func = help;\n\treturn 0;\n}\n"
    found = plant.reach({"fs/a.c": text + "SYSCALL_DEFINE0(others)\n{\n\treturn keep(NULL);\n}\n"})
    assert found.answer is Answer.YES, found.question


TIES = (
    "static void help(struct work_struct *w) { }\nvoid ready(struct pool *p)\n{\n\tstruct part *part = p->part;\n\n"
    "\tINIT_DELAYED_WORK(&part->work, help);\n}\n"
)
QUEUES = (
    "static void kick(struct pool *p)\n{{\n\tready(p);\n\tqueue_delayed_work(wq, &{}, 0);\n}}\n"
    "SYSCALL_DEFINE0(others)\n{{\n\tkick(NULL);\n\treturn 0;\n}}\n"
)


@pytest.mark.parametrize(
    ("queued", "more", "said"),
    [
        ("p->part->work", "", ""),
        ("p->part->work.work", "", ""),
        ("p->part->other", "", "help"),
        ("p->task->work", "", "help"),  # of another structure
        (
            "p->part->work",
            "void task(struct part *q)\n{\n\tINIT_WORK(&q->work, ready);\n}\n",
            "work of a struct part holds more than one thing",
        ),
        (
            "p->part->work",
            "void task(struct part *q)\n{\n\tINIT_WORK(&some(q)->work, ready);\n}\n",
            "work of a struct part holds more than one thing",
        ),
    ],
)
def test_what_another_file_queues_is_the_member_of_the_same_structure(plant: Planted, queued: str, more: str, said: str) -> None:
    header = "struct part {\n\tstruct delayed_work work, other;\n};\nstruct task {\n\tstruct delayed_work work;\n};\n"
    header += "struct pool {\n\tstruct part *part;\n\tstruct task *task;\n};\n"
    found = plant.reach({"fs/a.c": TIES, "fs/b.c": more + QUEUES.format(queued), "include/linux/pool.h": header})
    assert found.answer is (Answer.UNKNOWN if said else Answer.YES), found.question
    assert said in found.question, found.question


@pytest.mark.parametrize(("grammar", "called", "answer"), [
    ("foo_key.asn1", "asn1_ber_decoder(&foo_key_decoder, NULL, NULL, 0)", Answer.YES),
    ("other.asn1", "asn1_ber_decoder(&foo_key_decoder, NULL, NULL, 0)", Answer.UNKNOWN),
    ("foo_key.asn1", "size_of(&foo_key_decoder)", Answer.UNKNOWN),
])  # fmt: skip
def test_the_actions_of_a_grammar_are_called_where_it_decodes(plant: Planted, grammar: str, called: str, answer: Answer) -> None:
    files = {
        "fs/a.c": "int help(void *context) { return 0; }\n",
        "fs/b.c": f'#include "foo_key.asn1.h"\nSYSCALL_DEFINE0(others)\n{{\n\treturn {called};\n}}\n',
        f"fs/{grammar}": "Key ::= SEQUENCE {\n\tversion\tINTEGER ({ help })\n}\n",
    }
    assert plant.reach(files).answer is answer


@pytest.mark.parametrize(("put", "said"), [
    ("kobject_put(&sb->kobj)", ""), ("kobject_put(&sb->other)", "help"), ("kobject_get(&sb->kobj)", "help"), ("kobject_put(sb->kobj)", "help"),
])  # fmt: skip
def test_a_kobject_is_released_where_the_same_member_is_put(plant: Planted, put: str, said: str) -> None:
    files = {
        "fs/a.c": "static void help(struct kobject *k) { }\nstatic const struct kobj_type sb_ktype = {\n\t.release = help,\n};\n"
        "void add(struct sb_info *sb)\n{\n\tkobject_init_and_add(&sb->kobj, &sb_ktype, NULL, name);\n}\n",
        "fs/b.c": f"static void leave(struct sb_info *sb)\n{{\n\tadd(sb);\n\t{put};\n}}\nSYSCALL_DEFINE0(others)\n{{\n\tleave(NULL);\n\treturn 0;\n}}\n",
        "include/linux/sb.h": "struct sb_info {\n\tstruct kobject kobj, other;\n};\n",
    }
    found = plant.reach(files)
    assert found.answer is (Answer.UNKNOWN if said else Answer.YES), found.question
    assert said in found.question, found.question


CORE = (
    "struct template {\n\tint (*fill)(void);\n};\nstatic struct template *all;\nvoid add(int (*fill)(void))\n{\n\tstruct template *t = make();\n\n\tt->fill = fill;\n}\n"
    "static int look(int fill)\n{\n\tstruct template *found = all;\n\n\treturn found->fill();\n}\nSYSCALL_DEFINE0(others)\n{\n\treturn look(0);\n}\n"
)
OTHER = "struct other {\n\tint (*fill)(void);\n};\n"


@pytest.mark.parametrize(("core", "answer"), [
    (CORE, Answer.YES),
    (CORE.replace("struct template *found", "struct other *found"), Answer.UNKNOWN),
    (CORE.replace("t->fill = fill", "t->fill = made_of(fill)"), Answer.UNKNOWN),
])  # fmt: skip
def test_what_a_file_stores_in_a_structure_of_its_own_is_called_there(plant: Planted, core: str, answer: Answer) -> None:
    user = "static int help(void) { return 0; }\n" + boot("add(help)")
    assert plant.reach({"fs/a.c": user, "fs/b.c": OTHER + core}).answer is answer


@pytest.mark.parametrize(("struct", "answer"), [("restart", Answer.YES), ("other", Answer.UNKNOWN)])
def test_a_member_of_a_common_name_is_called_where_its_structure_is_named(plant: Planted, struct: str, answer: Answer) -> None:
    header = (
        OTHER
        + "struct restart {\n\tint (*fill)(void);\n};\nstatic inline int set_fill(struct restart *r, int (*fn)(void))\n{\n\tr->fill = fn;\n\treturn 0;\n}\n"
    )
    files = {
        "fs/a.c": "static int help(void) { return 0; }\n" + boot("set_fill(&one, help)"),
        "mm/pool2.c": f"static int again(void)\n{{\n\tstruct {struct} *r = current_one();\n\n\treturn r->fill();\n}}\n"
        "SYSCALL_DEFINE0(others)\n{\n\treturn again();\n}\n",
        "mm/Makefile": "obj-y += pool2.o\n",
        "include/linux/restart.h": header,
    }
    assert plant.reach(files).answer is answer


def test_what_nothing_ties_is_not_run_by_what_another_file_queues(plant: Planted) -> None:
    header = "struct part {\n\tstruct delayed_work work;\n};\nstruct pool {\n\tstruct part *part;\n};\n"
    queues = QUEUES.format("p->part->work").replace("ready(p)", "(void)p")
    found = plant.reach({"fs/a.c": TIES, "fs/b.c": queues, "include/linux/pool.h": header})
    assert found.answer is Answer.UNKNOWN
    assert "whether ready() runs" in found.question, found.question


def test_a_table_that_the_base_builds_is_taken_first(plant: Planted) -> None:
    files = {
        "fs/a.c": "int help(void) { return 0; }\n",
        "fs/extra.c": "const struct kind early_kind = {\n\t.resolve_kind = help,\n};\n",
        "fs/b.c": "const struct kind late_kind = {\n\t.resolve_kind = help,\n};\nSYSCALL_DEFINE1(others, struct kind *, k)\n{\n\treturn k->resolve_kind();\n}\n"
        "static int __init boot(void)\n{\n\tkind_add(&early_kind);\n\tkind_add(&late_kind);\n\treturn 0;\n}\nfs_initcall(boot);\n",
        "include/linux/kind.h": "struct kind {\n\tint (*resolve_kind)(void);\n};\nint help(void);\nextern const struct kind early_kind, late_kind;\n",
    }
    found = plant.reach(files)
    assert found.answer is Answer.YES, found.question
    assert not found.reasons, found.facts


IN_OPS = "\t.open = help,\t\\\n"


@pytest.mark.parametrize(
    ("macro", "table", "is_reached"),
    [
        ("OPS(x) {\t\\\n" + IN_OPS + "\t.name = x }", "f = OPS({ 1 })", True),
        ("OPS(x) {\t\\\n" + IN_OPS + "\t.name = x }", "f[] = {\n\tOPS(1),\n\tOPS(2),\n}", True),
        ("OPS .open = help", "f = {\n\tOPS,\n}", True),
        ("OPS { .name = 1, .open = help }", "f[2] = { [1] = OPS }", True),
        # of a structure inside
        ("OPS { .inner = { .open = help } }", "f = OPS", False),
        ("OPS { .inner.open = help }", "f = OPS", False),
        ("OPS { .open = help }", "f = { .inner = OPS }", False),
        ("OPS { .open = help }", "f = { OPS }", False),
        ("OPS { .open = help }", "f = WRAP(OPS)", False),
        ("OPS { .open = help + 1 }", "f = OPS", False),
        # another line defines it, too
        ("OPS { .open = help }\n#undef OPS\n#define OPS { .open = NULL }", "f = OPS", False),
    ],
)
def test_a_macro_that_is_an_element_of_a_table_stands_for_its_functions(plant: Planted, macro: str, table: str, is_reached: bool) -> None:
    text = f"static int help(void) {{ return 0; }}\n#define {macro}\nstatic const struct file_operations {table};\n"
    found = plant.reach({"fs/a.c": text + boot("debugfs_create_file(0, 0, 0, 0, &f)")})
    assert (found.answer is Answer.YES) is is_reached, found.question


@pytest.mark.parametrize(
    ("including", "options"),
    [
        ('#ifdef CONFIG_EXTRA\n#include "part.c"\n#else\n#define help NULL\n#endif\n', ["EXTRA"]),
        ('#include "part.c"\n#ifdef CONFIG_EXTRA\n#define help NULL\n#endif\n', []),
        ('#include "part.c"\n#define help NULL\n', None),
    ],
)
def test_a_macro_stands_in_the_place_of_a_function_whose_file_is_not_included(
    plant: Planted, including: str, options: list[str] | None
) -> None:
    user = "static const struct file_operations f = {\n\t.open = help,\n};\n" + boot("debugfs_create_file(0, 0, 0, 0, &f)")
    found = plant.reach({"fs/part.c": "static int help(void) { return 0; }\n", "fs/a.c": including + user})
    assert (found.answer is Answer.YES, [name for name in found.reasons if name not in found.disable]) == (
        options is not None,
        options or [],
    )


@pytest.mark.parametrize(("conditional", "options"), [("#ifndef CONFIG_EXTRA", ["EXTRA"]), ("#ifdef UNKNOWN", None), ("#if 1", None)])
def test_a_stub_of_the_caller_is_compiled_where_the_function_is_not(plant: Planted, conditional: str, options: list[str] | None) -> None:
    stub = f"{conditional}\nstatic inline void help(void) {{ }}\n#endif\n"
    files = {"fs/extra.c": "void help(void) { }\n", "fs/a.c": stub + "SYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n"}
    found = plant.reach(files)
    assert (found.answer is Answer.YES, list(found.reasons)) == (options is not None, options or [])


@pytest.mark.parametrize(
    ("path", "other", "options"),
    [
        ("include/linux/other.h", "/* not linux/help_up.h */\n", ["EXTRA"]),
        ("include/linux/other.h", "#include <linux/help_up.h>\n", None),
        ("include/linux/other.h", "#define HELP <linux/help_up.h>\n#include HELP\n", None),
        ("include/linux/other.h", "#include/* */<linux/help_up.h>\n", None),
        ("include/linux/other.h", "#include \\\n<linux/help_up.h>\n", None),
        ("net/Makefile", "ccflags-y += -include $(srctree)/include/linux/help_up.h\n", None),
        ("arch/arm64/Makefile", "KBUILD_CFLAGS += -include include/linux/help_up.h\n", ["EXTRA"]),
    ],
)
def test_what_a_header_defines_counts_where_its_only_include_is_compiled(
    plant: Planted, path: str, other: str, options: list[str] | None
) -> None:
    found = plant.reach(
        {
            "fs/extra.c": "void help(void) { }\n",
            "include/linux/help_up.h": "static inline void help(void) { }\n",
            "include/linux/help.h": "#ifdef CONFIG_EXTRA\nvoid help(void);\n#else\n# include <linux/help_up.h>\n#endif\n",
            path: other,
            "fs/b.c": "SYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n",
        }
    )
    assert (found.answer is Answer.YES, list(found.reasons)) == (options is not None, options or [])


@pytest.mark.parametrize(
    ("common", "own", "answer"),
    [
        ("#include <asm/help.h>\n", "#define help help\n", Answer.YES),
        ("#include <asm/help.h>\n", "#ifdef SOME_MODEL\n#define help help\n#endif\n", Answer.UNKNOWN),
        ("#ifdef SOME_MODEL\n#include <asm/help.h>\n#endif\n", "#define help help\n", Answer.UNKNOWN),
        ("", "#define help help\n", Answer.UNKNOWN),
    ],
)
def test_a_common_definition_gives_way_to_that_of_the_architecture(plant: Planted, common: str, own: str, answer: Answer) -> None:
    found = plant.reach(
        {
            "fs/a.c": "void help(void) { }\n",
            "include/linux/help.h": common + "#ifndef help\nstatic inline void help(void) { }\n#endif\n",
            "arch/x86/include/asm/help.h": "void help(void);\n" + own,
            "fs/b.c": "SYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n",
        }
    )
    assert found.answer is answer, found.question


@pytest.mark.parametrize(
    ("declared", "answer"),
    [("void real_help(void) __RENAME(help);", Answer.YES), ("void real_help(void) __RENAME(helper);", Answer.UNKNOWN)],
)
def test_a_checked_function_of_a_header_calls_the_one_of_its_name(plant: Planted, declared: str, answer: Answer) -> None:
    found = plant.reach(
        {
            "fs/a.c": "void help(void) { }\n",
            "include/linux/fortify.h": f"{declared}\nstatic inline void help(void)\n{{\n\treal_help();\n}}\n",
            "fs/b.c": "SYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n",
        }
    )
    assert found.answer is answer, found.question


def test_a_weak_definition_gives_way(plant: Planted) -> None:
    found = plant.reach(
        {
            "fs/a.c": "void help(void) { }\n",
            "fs/b.c": "void __weak help(void)\n{\n}\nSYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n",
        }
    )
    assert found.answer is Answer.YES


def test_a_file_that_another_one_includes_is_of_its_unit(plant: Planted) -> None:
    found = plant.reach(
        {
            "fs/part.c": "static void help(void) { }\n",
            "fs/a.c": '#include "part.c"\nSYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n',
        }
    )
    assert found.answer is Answer.YES, found.question


def test_an_inline_function_of_a_header_is_reached_through_who_uses_it(plant: Planted) -> None:
    found = plant.reach(
        {
            "include/linux/help.h": "static inline void help(void) { }\n",
            "fs/a.c": "SYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n",
        }
    )
    assert found.answer is Answer.YES


@pytest.mark.parametrize(("path", "answer"), [("kernel/sched/idle.c", Answer.YES), ("fs/a.c", Answer.UNKNOWN)])
def test_what_an_idle_processor_runs_is_reached(plant: Planted, path: str, answer: Answer) -> None:
    makefiles = {
        "Makefile": MAKEFILE + "obj-y += kernel/\n",
        "kernel/Makefile": "obj-y += sched/\n",
        "kernel/sched/Makefile": "obj-y += idle.o\n",
    }
    idle = "static void help(void) { }\nstatic void do_idle(void)\n{\n\thelp();\n}\n"
    assert plant.reach({path: idle, **makefiles}).answer is answer


@pytest.mark.parametrize(
    "bounds",
    [
        call_paths.SearchBounds(hops=1, files=400, callers=40, steps=5000),
        call_paths.SearchBounds(hops=16, files=1, callers=40, steps=5000),
        call_paths.SearchBounds(hops=16, files=400, callers=40, steps=1),
    ],
)
def test_a_search_that_is_cut_short_says_so_and_never_no(plant: Planted, bounds: call_paths.SearchBounds) -> None:
    files = {
        "fs/a.c": "void help(void) { }\n",
        "fs/b.c": "void between(void)\n{\n\thelp();\n}\n",
        "mm/pool.c": "SYSCALL_DEFINE0(others)\n{\n\tbetween();\n\treturn 0;\n}\n",
    }
    found = plant.reach(files, bounds=bounds)
    assert found.answer is Answer.UNKNOWN
    assert "(limit: " in found.question


def test_one_function_that_is_reached_is_enough(plant: Planted) -> None:
    source = plant.commit(
        {"fs/a.c": "static void lost(void) { }\nstatic void help(void) { }\nSYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n"}
    )
    kernel = tree.Kernel(source, "x86_64", "gcc-12", None)
    assert (
        call_paths.reach([("fs/a.c", "lost"), ("fs/a.c", "help")], call_paths.CallPathSearch(source, kernel, BOUNDS)).answer is Answer.YES
    )


def test_the_shortest_chain_is_taken(plant: Planted) -> None:
    found = plant.reach(
        {
            "fs/a.c": (
                "static void help(void) { }\nstatic void one(void)\n{\n\thelp();\n}\nSYSCALL_DEFINE0(hidden)\n{\n\tone();\n\treturn 0;\n}\n"
                "SYSCALL_DEFINE0(others)\n{\n\thelp();\n\treturn 0;\n}\n"
            )
        }
    )
    assert [fact.claim for fact in found.facts] == ["system call others", "sys_others() calls help()"]


@pytest.mark.parametrize(
    ("name", "interface"),
    [
        ("call", "call:frob"),
        ("mount", "mount:afs0"),
        ("socket", "family:PF_FOO"),
        ("genl", "genl:foo"),
        ("rtnl", "rtnl:RTM_GETFOO"),
        ("uring", "op:IORING_OP_FOO"),
    ],
)
def test_the_interface_is_named_as_descriptions_name_it(searched: Source, name: str, interface: str) -> None:
    search = call_paths.CallPathSearch(searched, tree.Kernel(searched, "x86_64", "gcc-12", None), BOUNDS)
    call_path = search.find(f"fs/{name}.c", f"target_{name}").call_path
    assert call_path is not None
    assert interface in interfaces.named(call_path, search.name_users)


def test_an_interface_without_a_description_is_said(searched: Source, tmp_path: pathlib.Path) -> None:
    (tmp_path / "sys/linux").mkdir(parents=True)
    (tmp_path / "sys/linux/a.txt").write_text('syz_mount_image$afs0(fs ptr[in, string["afs0"]])\n')
    known = checkout.read(str(tmp_path), "x86_64")
    search = call_paths.CallPathSearch(searched, tree.Kernel(searched, "x86_64", "gcc-12", None), BOUNDS)
    assert call_paths.reach([("fs/mount.c", "target_mount")], search, known).assumptions == (
        "syzkaller describes the file system afs0: sys/linux/a.txt:1",
    )
    assert call_paths.reach([("fs/genl.c", "target_genl")], search, known).assumptions == (
        "no description of syzkaller reaches the netlink family foo yet: fuzzing it needs one first",
    )
