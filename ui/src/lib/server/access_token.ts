const KEY = 'token';

type Place = Pick<Location, 'hash' | 'pathname' | 'search'>;
type Store = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/**
 * The token that this tab shows to the server. A link brings it in its fragment, which no server and no log sees; it is kept for
 * as long as the tab, and taken out of the address bar.
 */
export class AccessToken {
  constructor(
    private readonly store: Store,
    place: Place,
    history: Pick<History, 'replaceState'>,
  ) {
    const brought = new URLSearchParams(place.hash.slice(1)).get('token');
    if (brought === null) return;
    this.set(brought);
    history.replaceState(null, '', place.pathname + place.search);
  }

  get(): string | null {
    return this.store.getItem(KEY);
  }

  set(token: string): void {
    const trimmed = token.trim();
    if (trimmed === '') this.store.removeItem(KEY);
    else this.store.setItem(KEY, trimmed);
  }
}
