// Shows only the variants that are asked for. Without it everything is shown.
(() => {
  const form = document.querySelector('.filter');
  if (form === null) return;
  form.hidden = false;
  const search = form.querySelector('input[type=search]');
  const boxes = [...form.querySelectorAll('input[name=verdict]')];
  const items = [...document.querySelectorAll('[data-verdict]')];
  const show = () => {
    const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const words = search.value
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== '');
    for (const item of items)
      item.hidden =
        !wanted.has(item.dataset.verdict) || !words.every((word) => item.dataset.text.includes(word));
  };
  // Something to send to somebody: report.html?verdict=fail,error&text=nvme
  const asked = new URLSearchParams(location.search);
  search.value = asked.get('text') ?? '';
  const verdicts = asked.get('verdict')?.split(',');
  for (const box of boxes) box.checked = verdicts === undefined || verdicts.includes(box.value);
  show();
  form.addEventListener('input', show);
  form.addEventListener('submit', (event) => event.preventDefault());
  // A line that is looked for is shown, and what it stands in opened.
  for (const log of document.querySelectorAll('details.console')) {
    const box = document.createElement('input');
    box.type = 'search';
    box.placeholder = 'lines with…';
    box.setAttribute('aria-label', 'Show only lines with this text');
    log.querySelector('summary').after(box);
    box.addEventListener('input', () => {
      const text = box.value.toLowerCase();
      for (const line of log.querySelectorAll('pre > *'))
        line.hidden = !line.textContent.toLowerCase().includes(text);
    });
  }
})();
