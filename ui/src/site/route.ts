/** Which page an address is. */
export type Route =
  | { page: 'wall' }
  | { page: 'watch'; room: string }
  | { page: 'recording'; session: string }
  | { page: 'publish'; room: string | null }
  | { page: 'missing' };

/** As the server has them. */
const ROOM = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const SESSION = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function routeOf({ pathname, search }: Pick<Location, 'pathname' | 'search'>): Route {
  const [first = '', second, ...more] = pathname.split('/').slice(1).map(decoded);
  if (more.length > 0) return { page: 'missing' };
  if (first === '' && second === undefined) return { page: 'wall' };
  if (first === 'watch' && isRoom(second)) return { page: 'watch', room: second };
  if (first === 'recording' && second !== undefined && SESSION.test(second)) return { page: 'recording', session: second };
  if (first === 'publish' && second === undefined) {
    const room = new URLSearchParams(search).get('room') ?? undefined;
    return { page: 'publish', room: isRoom(room) ? room : null };
  }
  return { page: 'missing' };
}

/** Whether a text can be a room's name. */
export function isRoom(text: string | undefined): text is string {
  return text !== undefined && ROOM.test(text);
}

export function watchPath(room: string): string {
  return `/watch/${encodeURIComponent(room)}`;
}

export function recordingPath(session: string): string {
  return `/recording/${encodeURIComponent(session)}`;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // No name of anything.
    return '/';
  }
}
