const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** `1,800` */
export function count(number: number): string {
  return whole.format(number);
}

/** `0 kB`, `812 kB`, `3.4 MB`, `1.2 GB` */
export function bytes(number: number): string {
  return scaled(number, [
    [1e9, 'GB', oneDigit],
    [1e6, 'MB', oneDigit],
    [1e3, 'kB', whole],
  ]);
}

/** `64 kbit/s`, `2.5 Mbit/s` */
export function bitsPerSecond(number: number): string {
  return scaled(number, [
    [1e6, 'Mbit/s', oneDigit],
    [1e3, 'kbit/s', whole],
  ]);
}

type Scale = [factor: number, unit: string, format: Intl.NumberFormat];

function scaled(number: number, scales: [Scale, ...Scale[]]): string {
  const [factor, unit, format] = scales.find(([factor]) => number >= factor) ?? (scales.at(-1) as Scale);
  return `${format.format(number / factor)} ${unit}`;
}

/** How much of a recording is left to send: `12 s`, `3 min 5 s`, `1 h 4 min`. Never nothing while there is something. */
export function span(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A text cut so that every second part is a number with its unit, which a line must not break between. */
export function quantities(text: string): string[] {
  return text.split(/(\d[\d.,]* (?:[kMG]B|s|min|h)\b)/);
}

/** `00:12:31`, always as wide. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}

/** `−14`, with a true minus sign; `−∞` for silence. */
export function decibels(dbfs: number): string {
  if (dbfs <= -100) return '−∞';
  const rounded = Math.round(dbfs);
  return rounded < 0 ? `−${-rounded}` : '0';
}

/** `29.9` */
export function perSecond(number: number): string {
  return oneDigit.format(number);
}

/** `18 %` */
export function percent(part: number): string {
  return `${whole.format(part * 100)} %`;
}

/** `+12.3 ppm`, `−4.0 ppm`, `0.0 ppm`: how much faster one clock is than another, from parts per 10⁹. */
export function partsPerMillion(ppb: number): string {
  const size = oneDigit.format(Math.abs(ppb) / 1000);
  if (size === '0.0') return '0.0 ppm';
  return `${ppb < 0 ? '−' : '+'}${size} ppm`;
}

/** `1.2 ms`, from µs */
export function milliseconds(us: number): string {
  return `${oneDigit.format(us / 1000)} ms`;
}
