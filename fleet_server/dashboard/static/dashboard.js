// Fills every <time data-at="UTC seconds"> with a relative time, its tooltip with the absolute one, and keeps both fresh.
// The server's clock counts: `data-now` on <html> is its time when the page was sent, so a wrong clock here does no harm.
(() => {
  const sent = Number(document.currentScript.dataset.now);
  const skew = sent ? sent - Date.now() / 1000 : 0;

  function relative(seconds) {
    if (seconds < 0) return seconds > -2 ? "now" : "in " + span(-seconds);
    return seconds < 2 ? "now" : span(seconds) + " ago";
  }

  function span(seconds) {
    if (seconds < 60) return Math.floor(seconds) + " s";
    if (seconds < 3600) return Math.floor(seconds / 60) + " min";
    if (seconds < 86400) return Math.floor(seconds / 3600) + " h";
    return Math.floor(seconds / 86400) + " d";
  }

  function show(element) {
    const at = Number(element.dataset.at);
    const date = new Date(at * 1000);
    const text = at ? relative(Date.now() / 1000 + skew - at) : "never";
    if (element.textContent !== text) element.textContent = text;
    const title = at ? date.toISOString().replace("T", " ").slice(0, 19) + " UTC\n" + date.toLocaleString() : "";
    if (element.title !== title) element.title = title;
  }

  function showAll() {
    document.querySelectorAll("time[data-at]").forEach(show);
  }

  function start() {
    new MutationObserver((changes) => {
      for (const change of changes) {
        if (change.type === "attributes") show(change.target);
        for (const node of change.addedNodes) {
          if (node.nodeType !== Node.ELEMENT_NODE) continue;
          if (node.matches("time[data-at]")) show(node);
          node.querySelectorAll("time[data-at]").forEach(show);
        }
      }
    }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-at"] });
    showAll();
    setInterval(showAll, 1000);
  }

  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();

// Called by the theme button's handler on the server; the cookie lets it send the next page in the right colours.
function flotaTheme(name) {
  document.cookie = `flota-theme=${name}; path=/; max-age=31536000; secure; samesite=lax`;
  document.documentElement.style.colorScheme = name === "auto" ? "light dark" : name;
}
