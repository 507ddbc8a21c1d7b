import type {
  ErrorBody,
  IssuedToken,
  Room,
  RoomList,
  Session,
  SessionId,
  SessionList,
  TokenRequest,
  ViewerList,
} from '../protocol/types';

/** Why the server did not do what it was asked: its own words, or ours when it said nothing. */
export class ServerError extends Error {
  /** @param status 0 when no answer came. */
  constructor(
    readonly status: number,
    readonly body: ErrorBody,
  ) {
    super(body.message);
  }
}

/** An SDP answer, and where its session can be ended. */
export interface SdpAnswer {
  sdp: string;
  location: string;
}

/**
 * One server's HTTP API, with the token that is shown to it.
 *
 * Every failure is a {@link ServerError}.
 */
export class Server {
  /** @param base where the server is, without a slash at its end; empty on the site, which it serves itself. */
  constructor(
    private readonly base: string,
    private readonly token: () => string | null,
    private readonly fetcher: typeof fetch = (...request) => fetch(...request),
  ) {}

  /** The same server, shown another token. */
  withToken(token: () => string | null): Server {
    return new Server(this.base, token, this.fetcher);
  }

  async access(): Promise<void> {
    await this.ask('GET', '/api/access');
  }

  rooms(): Promise<RoomList> {
    return this.json('GET', '/api/rooms');
  }

  room(name: string): Promise<Room> {
    return this.json('GET', roomPath(name));
  }

  sessions(before: SessionId | null = null): Promise<SessionList> {
    return this.json('GET', before === null ? '/api/sessions' : `/api/sessions?before=${before}`);
  }

  session(id: SessionId): Promise<Session> {
    return this.json('GET', sessionPath(id));
  }

  issueToken(request: TokenRequest): Promise<IssuedToken> {
    return this.json('POST', '/api/tokens', request);
  }

  async endSession(id: SessionId): Promise<void> {
    await this.ask('POST', `${sessionPath(id)}/end`);
  }

  async closeRoom(name: string): Promise<void> {
    await this.ask('DELETE', roomPath(name));
  }

  async removeViewer(room: string, viewer: string): Promise<void> {
    await this.ask('DELETE', `${roomPath(room)}/viewers/${encodeURIComponent(viewer)}`);
  }

  async banViewer(room: string, viewer: string): Promise<void> {
    await this.ask('POST', `${roomPath(room)}/viewers/${encodeURIComponent(viewer)}/ban`);
  }

  /** Ends a session, and keeps the token of its publisher out of the room. */
  async banPublisher(session: SessionId): Promise<void> {
    await this.ask('POST', `${sessionPath(session)}/ban`);
  }

  /** The id of the token by which a viewer came to a room; null for one who has left, or came by the server's own token. */
  async tokenOf(room: string, viewer: string): Promise<string | null> {
    const { viewers } = await this.json<ViewerList>('GET', `${roomPath(room)}/viewers`);
    return viewers.find((one) => one.viewer === viewer)?.token ?? null;
  }

  /** Keeps a token out of a room, with everybody who came by it. */
  async banToken(room: string, token: string): Promise<void> {
    await this.ask('POST', `${roomPath(room)}/tokens/${encodeURIComponent(token)}/ban`);
  }

  async deleteMessage(room: string, number: number): Promise<void> {
    await this.ask('DELETE', `${roomPath(room)}/chat/${number}`);
  }

  /** Offers to watch a session (WHEP). */
  whep(session: SessionId, offer: string): Promise<SdpAnswer> {
    return this.negotiate(`/whep/${session}`, offer);
  }

  /**
   * Offers to publish to a room (WHIP), by a name that viewers see.
   *
   * @param session what a new publication is to be called, or an earlier one to go on with: see `Longtake-Session` in docs/watching.md.
   */
  whip(room: string, name: string, session: string, offer: string): Promise<SdpAnswer> {
    const path = `/whip/${encodeURIComponent(room)}?name=${encodeURIComponent(name)}`;
    return this.negotiate(path, offer, { 'longtake-session': session });
  }

  /** Ends what an SDP answer began; also while the page goes away. Nobody waits for it, and a session that is gone is as good. */
  hangUp(location: string): void {
    this.fetcher(location, { method: 'DELETE', headers: this.headers(), keepalive: true }).catch(() => {});
  }

  /** The multivariant playlist of a session; without a token: see {@link headers}. */
  playlist(session: SessionId, track: 'video' | 'audio' | null = null): string {
    return `${this.base}/hls/${session}/${track ? `${track}/` : ''}index.m3u8`;
  }

  recording(session: SessionId): string {
    return this.withQuery(`${this.base}${sessionPath(session)}/recording.mp4`);
  }

  certificate(session: SessionId): string {
    return this.withQuery(`${this.base}${sessionPath(session)}/certificate`);
  }

  roomSocket(room: string): string {
    const address = new URL(`${this.base}/ws/rooms/${encodeURIComponent(room)}`, globalThis.location?.href);
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
    return this.withQuery(address.href);
  }

  /** An address that must carry the token itself, because what fetches it sends no headers of ours. */
  withQuery(address: string): string {
    const token = this.token();
    return token === null ? address : `${address}?token=${encodeURIComponent(token)}`;
  }

  headers(): Record<string, string> {
    const token = this.token();
    return token === null ? {} : { authorization: `Bearer ${token}` };
  }

  private async negotiate(path: string, offer: string, headers: Record<string, string> = {}): Promise<SdpAnswer> {
    const answer = await this.send(path, {
      method: 'POST',
      headers: { ...this.headers(), ...headers, 'content-type': 'application/sdp' },
      body: offer,
    });
    const location = new URL(answer.headers.get('location') ?? '', answer.url || globalThis.location.href).href;
    return { sdp: await answer.text(), location };
  }

  private async json<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await this.ask(method, path, body);
    return (await answer.json()) as Answer;
  }

  private ask(method: string, path: string, body?: unknown): Promise<Response> {
    if (body === undefined) return this.send(path, { method, headers: this.headers() });
    const headers = { ...this.headers(), 'content-type': 'application/json' };
    return this.send(path, { method, headers, body: JSON.stringify(body) });
  }

  private async send(path: string, init: RequestInit): Promise<Response> {
    let answer: Response;
    try {
      answer = await this.fetcher(`${this.base}${path}`, init);
    } catch {
      throw new ServerError(0, { code: 'internal', message: 'The server does not answer.', retryable: true });
    }
    if (!answer.ok) throw new ServerError(answer.status, await errorBody(answer));
    return answer;
  }
}

function sessionPath(id: SessionId): string {
  return `/api/sessions/${encodeURIComponent(id)}`;
}

function roomPath(name: string): string {
  return `/api/rooms/${encodeURIComponent(name)}`;
}

/** The server's own words; something between it and us may answer with a page instead. */
async function errorBody(answer: Response): Promise<ErrorBody> {
  const body: unknown = await answer.json().catch(() => null);
  if (isErrorBody(body)) return body;
  const retryable = answer.status >= 500;
  return { code: 'internal', message: `The server answers with ${answer.status}.`, retryable };
}

function isErrorBody(body: unknown): body is ErrorBody {
  if (typeof body !== 'object' || body === null) return false;
  const { code, message, retryable } = body as Record<string, unknown>;
  return typeof code === 'string' && typeof message === 'string' && typeof retryable === 'boolean';
}
