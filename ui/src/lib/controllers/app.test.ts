import { beforeEach, expect, test, vi } from 'vitest';

import { fakePlatform, problem, session, state } from '../testing/fakes';
import { AppController } from './app.svelte';

const CAMERAS = [
  { id: 'one', name: 'One' },
  { id: 'two', name: 'Two' },
];

let fake: ReturnType<typeof fakePlatform>;
let wantServer: ReturnType<typeof vi.fn<() => void>>;
let app: AppController;

beforeEach(async () => {
  fake = fakePlatform({ cameras: CAMERAS });
  wantServer = vi.fn<() => void>();
  app = new AppController(fake.platform, wantServer, () => 0);
  await app.open();
});

test('what is told is held and passed on', () => {
  fake.tell(state({ session: session({ elapsed_ms: 5000 }) }));
  fake.level({ peak_dbfs: -7, rms_dbfs: -20, clipped: false });
  expect(app.state?.version).toBe('1.2.3');
  expect(app.elapsed.text).toBe('00:00:05');
  expect(app.backlog.video).toHaveLength(1);
  expect(app.meter.peak).toBe(-7);
  app.shut();
  fake.tell(state({ version: '9' }));
  expect(app.state?.version).toBe('1.2.3');
});

test('starting without a server leads to where one says which', async () => {
  const { settings } = state();
  fake.tell(state({ settings: { ...settings, server: null } }));
  await app.start();
  expect(fake.platform.start).not.toHaveBeenCalled();
  expect(wantServer).toHaveBeenCalledOnce();
});

test('a server that refuses the token leads there too, and says so', async () => {
  fake.tell(state());
  fake.platform.start.mockRejectedValueOnce(problem('unauthorized', 'Wrong token.'));
  await app.start();
  expect(wantServer).toHaveBeenCalledOnce();
  expect(app.failures.map((failure) => failure.problem.message)).toEqual(['Wrong token.']);
});

test('a command that fails is told once, until it is dismissed', async () => {
  fake.platform.reconnect.mockRejectedValue(problem('not_now', 'Nothing runs.'));
  await app.reconnect();
  await app.reconnect();
  expect(app.failures).toHaveLength(1);
  app.forget(app.failures[0]?.id ?? -1);
  expect(app.failures).toEqual([]);
});

test('a command is busy while it runs', async () => {
  let finish = () => {};
  fake.platform.stop.mockImplementationOnce(() => new Promise((finished) => (finish = finished)));
  const stopping = app.stop();
  expect(app.busy.has('stop')).toBe(true);
  finish();
  await stopping;
  expect(app.busy.size).toBe(0);
});

test('mute and camera turn to what they are not', async () => {
  const { camera } = state();
  fake.tell(state({ camera: { ...camera, on: false } }));
  await app.toggleMuted();
  await app.toggleCamera();
  expect(fake.platform.setMuted).toHaveBeenCalledExactlyOnceWith(true);
  expect(fake.platform.setCameraOn).toHaveBeenCalledExactlyOnceWith(true);
});

test('the camera is switched to the one after that which is open', async () => {
  const { camera } = state();
  fake.tell(state({ camera: { ...camera, name: 'Two' } }));
  expect(app.canSwitchCamera).toBe(true);
  await app.switchCamera();
  expect(fake.platform.changeSettings).toHaveBeenCalledExactlyOnceWith({ camera: { kind: 'device', id: 'one' } });
});

test('devices are listed anew when one comes or goes, and not otherwise', async () => {
  fake.tell(state());
  fake.tell(state({ session: session() }));
  expect(fake.platform.devices).toHaveBeenCalledTimes(1);
  const { camera } = state();
  const condition = { kind: 'lost', problem: problem('device_unplugged') } as const;
  fake.tell(state({ camera: { ...camera, condition } }));
  expect(fake.platform.devices).toHaveBeenCalledTimes(2);
});
