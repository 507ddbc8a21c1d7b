import { Channel, convertFileSrc, invoke } from '@tauri-apps/api/core';

import type { SessionId } from '../../protocol/types';
import { HlsSource, type HlsWish } from '../../server/hls';
import { Server } from '../../server/server';
import type { Source, SourceListener } from '../../server/source';
import type { CloseAnswer, Platform, Unsubscribe } from '../platform';
import { toProblem } from '../problem';
import type { ConnectionReport, DeviceList, Invitation, ProblemCode, SettingsChange, Update } from '../types';

/** The scheme behind which the shell gets what the room's sessions send; it shows the server its token itself. */
const ROOM_SCHEME = 'room';

/** The app's shell. */
export class TauriPlatform implements Platform {
  async watch(listener: (update: Update) => void): Promise<Unsubscribe> {
    return subscribe<Update>('watch', listener);
  }

  async preview(listener: (picture: ArrayBuffer) => void): Promise<Unsubscribe> {
    return subscribe<ArrayBuffer>('preview', listener);
  }

  previewShown(sequence: number): Promise<void> {
    return command('preview_shown', { sequence });
  }

  devices(): Promise<DeviceList> {
    return command('devices');
  }

  start(): Promise<void> {
    return command('start');
  }

  stop(): Promise<void> {
    return command('stop');
  }

  reconnect(): Promise<void> {
    return command('reconnect');
  }

  invite(): Promise<Invitation> {
    return command('invite');
  }

  openRoom(): Promise<void> {
    return command('open_room');
  }

  closeRoom(): Promise<void> {
    return command('close_room');
  }

  playSession(session: SessionId, video: HTMLVideoElement, listener: SourceListener, wish: HlsWish): Source {
    const base = convertFileSrc('', ROOM_SCHEME).replace(/\/$/, '');
    return new HlsSource(new Server(base, () => null), session, video, listener, wish);
  }

  say(text: string): Promise<void> {
    return command('say', { text });
  }

  dismiss(): Promise<void> {
    return command('dismiss');
  }

  setMuted(muted: boolean): Promise<void> {
    return command('set_muted', { muted });
  }

  setCameraOn(on: boolean): Promise<void> {
    return command('set_camera_on', { on });
  }

  changeSettings(change: SettingsChange): Promise<void> {
    return command('change_settings', { change });
  }

  testConnection(server: string, token: string | null): Promise<ConnectionReport> {
    return command('test_connection', { server, token });
  }

  pair(link: string): Promise<void> {
    return command('pair', { link });
  }

  useLocalServer(): Promise<void> {
    return command('use_local_server');
  }

  dismissNotice(code: ProblemCode): Promise<void> {
    return command('dismiss_notice', { code });
  }

  close(answer: CloseAnswer): Promise<void> {
    return command('close', { answer });
  }

  copyText(text: string): Promise<void> {
    return command('copy_text', { text });
  }
}

async function command<Answer>(name: string, args: Record<string, unknown> = {}): Promise<Answer> {
  try {
    return await invoke<Answer>(name, args);
  } catch (error) {
    throw toProblem(error);
  }
}

/** The shell goes on sending to a channel that nobody listens to until the page goes away. */
async function subscribe<Message>(name: string, listener: (message: Message) => void): Promise<Unsubscribe> {
  const channel = new Channel<Message>(listener);
  await command(name, { channel });
  return () => {
    channel.onmessage = () => {};
  };
}
