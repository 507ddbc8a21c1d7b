/** What a key does on the page of a player. */
export type KeyAction = 'mute' | 'fullscreen' | 'picture-in-picture' | 'pause' | 'back' | 'forward';

const KEYS: Record<string, KeyAction> = {
  m: 'mute',
  f: 'fullscreen',
  p: 'picture-in-picture',
  ' ': 'pause',
  k: 'pause',
  ArrowLeft: 'back',
  ArrowRight: 'forward',
};

/** Elements that take keys themselves: text everywhere, and the space bar on whatever is pressed with it. */
const WRITES = 'input, textarea, select, [contenteditable], dialog';
const PRESSES = 'button, a, summary';

export function keyAction(event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'altKey' | 'metaKey' | 'target'>): KeyAction | null {
  if (event.ctrlKey || event.altKey || event.metaKey) return null;
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest(WRITES)) return null;
  if (event.key === ' ' && target?.closest(PRESSES)) return null;
  return KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key] ?? null;
}
