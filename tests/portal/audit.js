// What is wrong with a page for eyes and fingers: run in the page, returns a list of complaints.
() => {
  const wrong = [];
  const say = (what, e) => wrong.push(`${what}: <${e.tagName.toLowerCase()} class="${e.className.baseVal ?? e.className}"> ${e.textContent.trim().slice(0, 40)}`);
  const rgb = (text) => { const n = text.match(/[\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 0) return c; } return [255, 255, 255, 1]; };
  const seen = (e) => { const r = e.getBoundingClientRect(); return r.width > 1 && r.height > 1 && getComputedStyle(e).visibility === 'visible'; };

  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const e = words.currentNode.parentElement;
    if (!words.currentNode.data.trim() || !seen(e) || e.closest('svg, script, .sr')) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const found = ratio(rgb(style.color), behind(e));
    if (found < (large ? 3 : 4.5)) say(`contrast ${found.toFixed(2)}`, e);
  }
  for (const e of document.querySelectorAll('a, button, summary, label.choice, input[type=text], input[type=search]')) {
    if (!seen(e) || e.closest('.skip') || (e.tagName === 'A' && e.closest('p, li p') && !e.className)) continue;
    const r = e.getBoundingClientRect();
    if (r.height < 43.5 || r.width < 43.5) say(`target ${r.width.toFixed(0)}x${r.height.toFixed(0)}`, e);
  }
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth) wrong.push(`${page.scrollWidth} px wide in a window of ${page.clientWidth}`);
  return wrong;
}
