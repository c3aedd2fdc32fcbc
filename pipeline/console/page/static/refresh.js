// Asking again by itself, when the reader wants it: not while the page is hidden, nor faster than the
// store answers.
const EVERY_MS = 30_000;

// `again` asks; `waits` says whether it should not: what is shown has not come yet, or cannot change.
export function refresher(button, { again, waits }) {
  let timer = null;
  function tick() {
    if (!document.hidden && !waits()) again();
  }
  function flip() {
    clearInterval(timer);
    timer = timer === null ? setInterval(tick, EVERY_MS) : null;
    button.setAttribute("aria-pressed", String(timer !== null));
    if (timer !== null) tick();
  }
  document.addEventListener("visibilitychange", () => timer !== null && tick());
  button.addEventListener("click", flip);
  return flip;
}
