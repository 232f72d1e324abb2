// What the theme and its extensions leave open: a link's ?tab=, the place on the page, the keyboard.

(() => {
  const address = new URL(location.href);
  const chosen = "sphinx-design-tab-id-tab";
  const tabs = new Map(Object.entries(JSON.parse(document.currentScript.dataset.tabs)));

  // sphinx-design takes any ?tab= for the reader's choice, and only on a page with tabs
  const wanted = address.searchParams.get("tab");
  if (wanted !== null) {
    const framework = tabs.get(wanted.trim().toLowerCase());
    if (framework) localStorage.setItem(chosen, framework);
    if (framework !== wanted) setTab(framework);
  }

  // a page that the browser kept, and goes back to, shows what was chosen since
  addEventListener("pageshow", () => {
    const framework = address.searchParams.get("tab") ?? localStorage.getItem(chosen);
    for (const label of document.querySelectorAll(".sd-tab-set > label"))
      if (label.dataset.syncId === framework) label.previousElementSibling.checked = true;
  });

  function setTab(framework) {
    if (framework) address.searchParams.set("tab", framework);
    else address.searchParams.delete("tab");
    address.hash = location.hash;
    history.replaceState(history.state, "", address);
  }

  // the chosen tab stays where it is, though tabs above it become longer or shorter
  let place;
  function remember(event) {
    place = event.target.closest?.(".sd-tab-set")?.getBoundingClientRect().top;
  }
  document.addEventListener("click", remember, true);
  document.addEventListener("keydown", remember, true);
  document.addEventListener("change", ({ target }) => {
    if (!target.matches(".sd-tab-set > input")) return;
    const moved = target.parentElement.getBoundingClientRect().top - place;
    scrollBy({ top: moved, behavior: "instant" });
    if (address.searchParams.has("tab")) setTab(target.nextElementSibling.dataset.syncId);
  });

  // another language leads to the section in view, or to the one that the address names
  function sectionInView() {
    const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const place = named?.getBoundingClientRect().top;
    if (place >= 0 && place < innerHeight) return location.hash;
    const passed = [...document.querySelectorAll("article section[id]")].filter(
      (section) => section.getBoundingClientRect().top < innerHeight / 3,
    );
    return passed.length > 1 ? `#${passed.at(-1).id}` : ""; // the first is the page
  }
  function followSection({ target }) {
    const link = target.closest?.(".languages a");
    if (!link) return;
    link.search = location.search;
    if ("samePage" in link.dataset) link.hash = sectionInView();
  }
  document.addEventListener("click", followSection);
  document.addEventListener("auxclick", followSection);

  // what scrolls inside of itself can be scrolled from the keyboard
  const scrollers = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  document
    .querySelectorAll("pre, .katex-display, .table-wrapper")
    .forEach((element) => scrollers.observe(element));

  // sphinx-copybutton speaks few languages
  for (const [key, english] of Object.entries(messages[locale])) {
    const word = Documentation.gettext(english);
    messages[locale][key] = word;
    iconCopy = iconCopy.replace(`<title>${english}<`, `<title>${word}<`);
    iconCheck = iconCheck.replace(`<title>${english}<`, `<title>${word}<`);
  }

  // a search result tells a formula once, and not again in MathML; from a disk it has no excerpt
  document.addEventListener("DOMContentLoaded", () => {
    if (typeof Search === "undefined") return;
    if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
    const { htmlToText } = Search;
    Search.htmlToText = (html, anchor) =>
      htmlToText(html.replace(/<span class="katex-mathml">.*?<\/math><\/span>/gs, ""), anchor);
  });
})();
