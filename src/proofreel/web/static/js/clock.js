// Times as the rest of Proofreel writes them.

/** Milliseconds as `1:02:03` (or `1:02:03.4` with `tenths`); hours only where there are any. */
export function clock(ms, tenths = false) {
  const unit = tenths ? 100 : 1000;
  const count = Math.max(0, tenths ? Math.round(ms / unit) : Math.floor(ms / unit));
  const seconds = tenths ? Math.floor(count / 10) : count;
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const head = hours ? `${hours}:${two(minutes)}` : `${minutes}`;
  return `${head}:${two(seconds % 60)}${tenths ? `.${count % 10}` : ""}`;
}

/** The index of the last of the sorted `starts` that is not after `ms`; -1 if all are. */
export function lastNotAfter(starts, ms) {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= ms) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
