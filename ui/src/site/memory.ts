import type { RoomMemory } from '../lib/controllers/room.svelte';

const ALIAS = 'alias';

/** The name that this person goes by in chats. */
export function recallAlias(): string | null {
  return localStorage.getItem(ALIAS);
}

/** The alias is for all rooms and for long; who one is in a room ends with the tab. */
export function recallVisit(room: string): RoomMemory {
  return { alias: recallAlias(), viewerToken: sessionStorage.getItem(viewerKey(room)) };
}

export function rememberVisit(room: string, { alias, viewerToken }: RoomMemory): void {
  if (alias !== null) localStorage.setItem(ALIAS, alias);
  if (viewerToken !== null) sessionStorage.setItem(viewerKey(room), viewerToken);
}

function viewerKey(room: string): string {
  return `viewer-${room}`;
}
