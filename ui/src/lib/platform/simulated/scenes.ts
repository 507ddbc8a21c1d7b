import { busyRoom, emptyRoom, said } from './room';
import { LOCAL_SERVER, problem, type Simulation } from './simulation';

/** Brings the simulation to where a scene begins; `advance` also tells the screen how it came about. */
export type Scene = (simulation: Simulation, advance: (ms: number) => void) => void;

const UNAUTHORIZED = problem(
  'unauthorized',
  'The server does not accept the token. Enter another one in the settings.',
);
const DISK_FULL = problem(
  'server_storage',
  'The server cannot store: its disk is full. Free space there; recording goes on here.',
  true,
);

const STORAGE_LOW = problem(
  'device_storage_low',
  'Four fifths of the room for recordings on this device are used. When it is full, the recording stops: get back to the network.',
  true,
);

/** Each state that the screen has to be good at, by name. */
export const SCENES: Record<string, Scene> = {
  ready: () => {},
  'first-start': (simulation) => withoutServer(simulation, null),
  'local-server': (simulation) => withoutServer(simulation, LOCAL_SERVER),
  connecting: (simulation, advance) => {
    simulation.networkUp = false;
    simulation.start();
    advance(1500);
  },
  live: (simulation, advance) => {
    simulation.start();
    advance(751_000);
  },
  muted: (simulation, advance) => {
    simulation.start();
    advance(65_000);
    simulation.microphone.on = false;
    simulation.camera.on = false;
  },
  offline: (simulation, advance) => {
    simulation.start();
    advance(312_000);
    simulation.networkUp = false;
    advance(14_000);
  },
  'storage-low': (simulation, advance) => {
    simulation.start();
    advance(312_000);
    simulation.networkUp = false;
    advance(140_000);
    simulation.keep(STORAGE_LOW);
  },
  'catching-up': (simulation, advance) => {
    simulation.start();
    advance(288_000);
    simulation.networkUp = false;
    advance(31_000);
    simulation.networkUp = true;
    advance(9_000);
  },
  finishing: (simulation, advance) => {
    simulation.start();
    advance(120_000);
    simulation.networkUp = false;
    advance(40_000);
    simulation.stop();
    advance(1_000);
  },
  complete: (simulation, advance) => {
    simulation.start();
    advance(60_000);
    simulation.stop();
    advance(2_000);
  },
  incomplete: (simulation, advance) => {
    simulation.start();
    advance(184_000);
    simulation.networkUp = false;
    advance(22_000);
    simulation.stop();
    advance(1_000);
    simulation.giveUp(problem('server_refused', 'The server closed the session before everything had arrived.'));
  },
  'refused-token': (simulation, advance) => {
    simulation.refusal = UNAUTHORIZED;
    simulation.start();
    advance(4_000);
  },
  'disk-full': (simulation, advance) => {
    simulation.refusal = DISK_FULL;
    simulation.start();
    advance(8_000);
  },
  'no-camera': (simulation) => {
    simulation.devices = { ...simulation.devices, cameras: [] };
    fail(simulation.camera, problem('no_device', 'No camera was found. Connect one, or use the test picture.'));
  },
  'no-microphone': (simulation) => {
    simulation.devices = { ...simulation.devices, microphones: [] };
    fail(simulation.microphone, problem('no_device', 'No microphone was found. Connect one, or use the test tone.'));
  },
  'permission-denied': (simulation) => {
    fail(simulation.camera, problem('permission_denied', 'The system does not let Longtake use the camera. Allow it in the system’s settings.'));
    fail(simulation.microphone, problem('permission_denied', 'The system does not let Longtake use the microphone. Allow it in the system’s settings.'));
  },
  'camera-busy': (simulation) => {
    fail(simulation.camera, problem('device_busy', 'Another program is using the camera. Close it, or choose another camera.', true));
  },
  unplugged: (simulation, advance) => {
    simulation.start();
    advance(95_000);
    simulation.camera.condition = {
      kind: 'lost',
      problem: problem('device_unplugged', 'The camera was unplugged. Sound goes on; plug the camera in again.', true),
    };
    advance(1_000);
  },
  notices: (simulation) => {
    simulation.set({
      notices: [
        problem('settings_unusable', 'The settings could not be read, so the app starts with new ones. The old file is kept beside them.'),
      ],
    });
  },
  // What somebody said while nobody looked is counted on the chip.
  'chat-unread': (simulation, advance) => {
    simulation.start();
    advance(42_000);
    const { chat } = simulation.room;
    simulation.room = { ...simulation.room, chat: [...chat, said(5, 'Ada', 'Here it comes!'), said(6, 'Grace', 'Oh!')] };
  },
  'room-empty': (simulation) => {
    const { settings } = simulation.state();
    simulation.set({ settings: { ...settings, alias: null } });
    simulation.room = emptyRoom();
  },
  'room-away': (simulation) => {
    const phase = { kind: 'reconnecting', reason: 'The server went away.' } as const;
    simulation.room = { ...busyRoom(), phase, refusal: 'That was too much at once; wait a little.' };
  },
  'room-refused': (simulation) => {
    simulation.room = { ...emptyRoom(), viewer: null, phase: { kind: 'left', problem: UNAUTHORIZED } };
  },
  closing: (simulation, advance) => {
    simulation.start();
    advance(42_000);
    simulation.set({ closing: true });
  },
};

function withoutServer(simulation: Simulation, localServer: string | null): void {
  const { settings } = simulation.state();
  simulation.set({
    settings: { ...settings, server: null, has_token: false, token_in_keyring: false },
    local_server: localServer,
  });
}

function fail(input: Simulation['camera'], because: ReturnType<typeof problem>): void {
  input.name = null;
  input.condition = { kind: 'failed', problem: because };
}
