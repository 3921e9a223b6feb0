// Looked for in a page by a browser, in tests: each gives a sentence for each fault.

/** Of WCAG 2, level AA. */
const LEAST_CONTRAST = 4.5;

/** Run in the page: texts of which the colour is too near to what lies behind it. */
export const FIND_PALE = `(() => {
  const read = (color) => {
    const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, below) =>
    Object.fromEntries(['r', 'g', 'b'].map((of) => [of, top[of] * top.a + below[of] * (1 - top.a)]));
  const luminance = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    const layers = [];
    for (let each = element; each !== null; each = each.parentElement)
      layers.push(read(getComputedStyle(each).backgroundColor));
    // Behind everything lies the colour of the scheme, which nobody can ask for: the page has to bring its own.
    return layers.some(({ a }) => a === 1) ? layers.reduceRight((below, top) => over(top, below), { r: 0, g: 0, b: 0 }) : undefined;
  };
  const found = [];
  let looked = 0;
  for (const element of document.querySelectorAll('body, body *')) {
    const said = element.placeholder || [...element.childNodes].filter(({ nodeType }) => nodeType === 3).map(({ data }) => data).join('').trim();
    const style = getComputedStyle(element, element.placeholder ? '::placeholder' : null);
    if (['SCRIPT', 'STYLE'].includes(element.tagName) || said === '' || !element.checkVisibility() || parseFloat(style.fontSize) === 0) continue;
    looked += 1;
    const back = behind(element);
    const front = back === undefined ? undefined : over(read(style.color), back);
    const [low, high] = back === undefined ? [1, 1] : [luminance(back), luminance(front)].sort((one, other) => one - other);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < ${String(LEAST_CONTRAST)}) found.push(contrast.toFixed(2) + ': ' + said.slice(0, 40) + ' (' + element.tagName + ' ' + element.className + ')');
  }
  return looked < 50 ? ['only ' + looked + ' texts were found'] : found;
})()`;

/** Run in the page: whether it is wider than the window, and what makes it so. */
export const FIND_WIDE = `(() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  const wide = [...document.querySelectorAll('body *')].filter(
    (each) => each.getBoundingClientRect().right > clientWidth && each.closest('.scroll, pre') === null,
  );
  return [scrollWidth + ' px wide: ' + wide.slice(0, 3).map((each) => each.outerHTML.slice(0, 60)).join(' ')];
})()`;
