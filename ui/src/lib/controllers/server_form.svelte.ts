import { toProblem } from '../platform/problem';
import type { Platform } from '../platform/platform';
import type { ConnectionReport, Problem, Settings, SettingsChange } from '../platform/types';

const PAIRING_LINK = /^longtake:\/\/pair\b/i;

/**
 * The fields of the server: each is kept as soon as it is left, and a test waits for that. What fails is told beside the
 * field. The token goes in and never comes out.
 */
export class ServerForm {
  server = $state('');
  token = $state('');
  room = $state('');
  link = $state('');
  problem = $state.raw<Problem | null>(null);
  report = $state.raw<ConnectionReport | null>(null);
  testing = $state(false);
  pairing = $state(false);

  /** What the fields were last filled with, to tell a change by somebody else from one that is being typed. */
  private filled = { server: '', room: '' };
  private saving: Promise<void> = Promise.resolve();

  constructor(private readonly platform: Pick<Platform, 'changeSettings' | 'testConnection' | 'pair'>) {}

  /** Follows settings that were changed elsewhere, such as by pairing, and leaves what is being typed. */
  follow(settings: Settings): void {
    const server = settings.server ?? '';
    if (server !== this.filled.server) {
      this.server = server;
      this.report = null;
    }
    if (settings.room !== this.filled.room) this.room = settings.room;
    this.filled = { server, room: settings.room };
  }

  /** A pairing link in the address's place is as good as in its own. */
  async keepServer(): Promise<void> {
    const server = this.server.trim();
    if (PAIRING_LINK.test(server)) {
      this.server = this.filled.server;
      this.link = server;
      await this.pair();
    } else if (server !== this.filled.server) {
      await this.keep({ server });
    }
  }

  async keepToken(): Promise<void> {
    const token = this.token.trim();
    if (token === '') return;
    if ((await this.keep({ token: { kind: 'set', token } })) && this.token.trim() === token) this.token = '';
  }

  async forgetToken(): Promise<void> {
    await this.keep({ token: { kind: 'clear' } });
  }

  async keepRoom(): Promise<void> {
    const room = this.room.trim();
    if (room !== this.filled.room) await this.keep({ room });
  }

  async pair(): Promise<void> {
    const link = this.link.trim();
    if (link === '') return;
    this.pairing = true;
    this.report = null;
    if (await this.attempt(() => this.platform.pair(link))) this.link = '';
    this.pairing = false;
  }

  /** Tests what stands in the fields; without a token there, the kept one. */
  async test(): Promise<void> {
    this.testing = true;
    this.report = null;
    await this.saving;
    const token = this.token.trim();
    await this.attempt(async () => {
      this.report = await this.platform.testConnection(this.server.trim(), token === '' ? null : token);
    });
    this.testing = false;
  }

  private keep(change: SettingsChange): Promise<boolean> {
    const attempt = this.attempt(() => this.platform.changeSettings(change));
    this.saving = Promise.all([this.saving, attempt]).then(() => {});
    return attempt;
  }

  private async attempt(command: () => Promise<void>): Promise<boolean> {
    try {
      this.problem = null;
      await command();
      return true;
    } catch (error) {
      this.problem = toProblem(error);
      return false;
    }
  }
}
