"use strict";
(() => {
  const rows = [...document.querySelectorAll("details.span")];
  const form = document.querySelector("form.tools");
  if (!form) return;
  const box = document.getElementById("search"), count = document.getElementById("count");
  const MOST_MARKS = 2000;
  let words = null;
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  const setAll = (open) => rows.forEach((row) => { if (!row.hidden) row.open = open; });
  document.getElementById("open-all").addEventListener("click", () => setAll(true));
  document.getElementById("close-all").addEventListener("click", () => setAll(false));

  // what is found is marked by the browser, so that no text is ever put into the page again
  const mark = () => {
    if (!CSS.highlights) return;
    CSS.highlights.delete("found");
    const wanted = box.value.trim().toLowerCase();
    if (!wanted) return;
    const ranges = [];
    for (const row of rows) {
      if (row.hidden || !row.open) continue;
      const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
      while (walker.nextNode() && ranges.length < MOST_MARKS) {
        const text = walker.currentNode.data.toLowerCase();
        if (text.length !== walker.currentNode.length) continue;
        for (let at = text.indexOf(wanted); at >= 0 && ranges.length < MOST_MARKS; at = text.indexOf(wanted, at + wanted.length)) {
          const range = new Range();
          range.setStart(walker.currentNode, at);
          range.setEnd(walker.currentNode, at + wanted.length);
          ranges.push(range);
        }
      }
    }
    if (ranges.length) CSS.highlights.set("found", new Highlight(...ranges));
  };
  const search = () => {
    const wanted = box.value.trim().toLowerCase();
    words = words || rows.map((row) => row.textContent.toLowerCase());
    let found = 0;
    rows.forEach((row, number) => {
      row.hidden = wanted !== "" && !words[number].includes(wanted);
      found += row.hidden ? 0 : 1;
    });
    count.textContent = wanted ? `${found} of ${rows.length} steps` : "";
    mark();
  };
  let waiting = 0;
  box.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(search, 120); });
  document.addEventListener("toggle", () => { if (box.value) mark(); }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target === document.body && !event.ctrlKey && !event.metaKey) { event.preventDefault(); box.focus(); }
    if (event.key === "Escape" && event.target === box) { box.value = ""; search(); }
  });
})();
