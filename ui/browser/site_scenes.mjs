// What the site can look like: an address, what the server says to it, and what a person does then.

const STARTED = Date.UTC(2026, 4, 12, 18, 30);
const H264 = { codec: 'h264', width: 1280, height: 720, frame_duration_90k: 3000, avcc: '' };
const OPUS = { codec: 'opus', channels: 1, pre_skip_48k: 312 };
const id = (number) => `01890a5d-ac96-7b7c-8f4e-${String(number).padStart(12, '0')}`;
const viewer = (digit) => digit.repeat(32);

function session(number, name, more = {}) {
  const tracks = { video: { codec: H264, connected: true }, audio: { codec: OPUS, connected: true } };
  return { id: id(number), name, status: 'active', started_unix_ms: Date.now() - 751_000, ...tracks, ...more };
}

function track(units, codec, more = {}) {
  const counted = { units, durable_units: units, durable_bytes: units * 8_000, duration_ms: 612_000 };
  const said = { codec, codec_string: '', connected: false, finished: true };
  return { ...counted, ...said, gaps: [], lost: [], events: [], ...more };
}

function recorded(number, room, name, more = {}) {
  return {
    id: id(number),
    room,
    status: 'completed',
    device: { name, platform: 'linux', app: 'longtake 0.1.0' },
    started_unix_ms: STARTED - number * 5_400_000,
    last_activity_unix_ms: STARTED,
    video: track(18_360, H264),
    audio: track(30_600, OPUS, { durable_bytes: 4_900_000 }),
    ...more,
  };
}

const SAID = [
  ['Ada', 'a', 'Picture and sound are clear from here.'],
  ['Grace', 'c', 'How long does it go on?'],
  ['Field camera', 'd', 'Until half past eight. Then the panel begins, with all four speakers on one stage.'],
  ['<script>alert(1)</script>', 'e', '<img src=x onerror=alert(1)> & a_very_long_word_that_never_ends_and_has_no_place_to_break_at_all'],
  ['Ada', 'a', 'Thank you!'],
];
const CHAT = SAID.map(([alias, who, text], number) => ({
  number,
  viewer: viewer(who),
  alias,
  text,
  at_unix_ms: STARTED + number * 40_000,
}));

function joined(sessions, more = {}) {
  const room = { name: 'studio', sessions, viewers: 12 };
  const rights = { publish: false, administer: false };
  return { type: 'joined', viewer: viewer('a'), viewer_token: 'v', rights, room, chat: CHAT, ...more };
}

const EVERYTHING = { rights: { publish: true, administer: true } };
const THREE = [session(1, 'Stage left'), session(2, 'Stage right'), session(3, 'Audience', { status: 'interrupted' })];
const ROOMS = {
  rooms: [
    { name: 'studio', sessions: THREE, viewers: 12 },
    { name: 'town-hall', sessions: [session(4, 'Field camera')], viewers: 3 },
    { name: 'a-room-with-the-longest-name-that-anybody-may-give-a-room-000000', sessions: [session(5, 'Voice', { video: null })], viewers: 1 },
  ],
};
const LIBRARY = {
  sessions: [
    recorded(1, 'studio', 'Field camera'),
    recorded(2, 'town-hall', 'Phone of somebody with a long name', { audio: null }),
    recorded(3, 'studio', 'Field camera', { video: track(18_360, H264, { durable_units: 18_300, gaps: [[900, 959]], lost: [[900, 959]] }) }),
    recorded(4, 'studio', 'Field camera', { status: 'abandoned' }),
  ],
  next_before: id(4),
};
const said = (number, at_s, kind, detail = '') => ({ number, at_90k: at_s * 90_000, kind, detail });
const EVENTFUL = recorded(1, 'studio', 'Field camera', {
  video: track(18_360, H264, {
    durable_units: 17_400,
    gaps: [[3_000, 3_599], [12_000, 12_359]],
    lost: [[12_000, 12_359]],
    events: [said(0, 95, 'device_switched', 'Back camera'), said(1, 398, 'units_lost')],
  }),
  audio: track(30_600, OPUS, { events: [said(0, 240, 'muted'), said(1, 262, 'unmuted')] }),
});

const refusal = (code, message = 'No.') => ({ code, message, retryable: false });
const watch = (messages, more = {}) => ({ path: '/watch/studio', messages, until: 'watch', ...more });
const refused = (code) => ({ path: '/watch/studio', messages: null, until: 'standing', api: { '/api/': refusal(code) } });
const playing = (page) => page.locator('[data-testid=tile][data-phase=playing]').first().waitFor();
const alias = () => localStorage.setItem('alias', 'Ada');
const named = { before: alias, step: playing };

export const SITE_SCENES = {
  wall: { path: '/', until: 'room', api: { '/api/rooms': ROOMS, '/api/sessions': LIBRARY } },
  'wall-empty': {
    path: '/',
    until: 'nothing-live',
    api: { '/api/rooms': { rooms: [] }, '/api/sessions': { sessions: [], next_before: null } },
  },
  'wall-token': { path: '/', until: 'standing', api: { '/api/': refusal('unauthorized') } },
  watch: watch([joined([session(1, 'Field camera')])], named),
  'watch-first': watch([joined([session(1, 'Field camera')], { chat: [] })], { before: () => localStorage.removeItem('alias'), step: playing }),
  'watch-three': watch([joined(THREE)], named),
  'watch-interrupted': watch([joined([session(1, 'Field camera', { status: 'interrupted' })])], named),
  'watch-sound-only': watch([joined([session(1, 'Voice', { video: null })])], named),
  'watch-empty': watch([joined([])], { until: 'room-empty' }),
  'watch-ended': watch([joined([session(1, 'Field camera')]), { type: 'session_ended', id: id(1) }], { until: 'room-ended' }),
  'watch-paused': watch([joined([session(1, 'Field camera')])], {
    before: alias,
    step: async (page) => {
      await playing(page);
      await page.keyboard.press('k');
      await page.getByTestId('to-live').waitFor();
      await page.getByTestId('connection').click();
    },
  }),
  'watch-share': watch([joined([session(1, 'Field camera')], EVERYTHING)], {
    path: '/watch/studio#token=secret',
    before: alias,
    api: { '/api/tokens': { token: 'eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoidmlldyJ9.c2lnbmF0dXJl'.repeat(3), ends_unix_ms: STARTED } },
    step: async (page) => {
      await playing(page);
      await page.getByTestId('share').click();
      await page.getByTestId('share-link').waitFor();
    },
  }),
  'watch-moderate': watch([joined([session(1, 'Field camera')], EVERYTHING)], {
    before: alias,
    step: async (page) => {
      await playing(page);
      await page.getByText('Moderate', { exact: true }).click();
      await page.getByTestId('moderate').nth(1).click();
      await page.getByTestId('ban-viewer').click();
    },
  }),
  'watch-forbidden': refused('forbidden'),
  'watch-removed': refused('removed'),
  'watch-closed': refused('room_closed'),
  recording: { path: `/recording/${id(1)}`, until: 'recording', api: { '/api/sessions': EVENTFUL } },
  'recording-missing': { path: `/recording/${id(9)}`, until: 'standing' },
  missing: { path: '/nowhere', until: 'standing' },
  publish: { path: '/publish', until: 'publish', api: { '/api/access': {} }, step: ready },
  'publish-live': {
    path: '/publish?room=town-hall',
    until: 'publish',
    api: { '/api/access': {} },
    step: async (page) => {
      await ready(page);
      await page.getByTestId('start-stop').click();
      await page.locator('[data-phase=live]').first().waitFor();
    },
  },
  'publish-denied': {
    path: '/publish',
    until: 'publish',
    api: { '/api/access': {} },
    before: () => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'));
    },
    step: ready,
  },
  'publish-insecure': {
    path: '/publish',
    until: 'standing',
    api: { '/api/access': {} },
    before: () => {
      Object.defineProperty(navigator, 'mediaDevices', { value: undefined });
      Object.defineProperty(window, 'isSecureContext', { value: false });
    },
  },
};

function ready(page) {
  return page.locator('[data-testid=publish][data-phase=ready]').waitFor();
}
