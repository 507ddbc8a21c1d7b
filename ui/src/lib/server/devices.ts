import type { Level } from '../platform/types';

/** One camera or microphone of this device. */
export interface MediaDevice {
  id: string;
  name: string;
}

export interface MediaDevices {
  cameras: MediaDevice[];
  microphones: MediaDevice[];
}

/** What is wanted of the devices; null takes what the browser proposes. */
export interface DeviceWish {
  camera: string | null;
  microphone: string | null;
}

/** The cameras and microphones. Their names are empty until one may be used. */
export async function listDevices(): Promise<MediaDevices> {
  const found = await navigator.mediaDevices.enumerateDevices();
  const named = (kind: MediaDeviceKind, name: string) =>
    found
      .filter((device) => device.kind === kind && device.deviceId !== '')
      .map(({ deviceId, label }, index) => ({ id: deviceId, name: label || `${name} ${index + 1}` }));
  return { cameras: named('videoinput', 'Camera'), microphones: named('audioinput', 'Microphone') };
}

/** Opens a camera. */
export async function openCamera(id: string | null): Promise<MediaStreamTrack> {
  const size = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  const which = id === null ? { facingMode: 'user' } : { deviceId: { exact: id } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: { ...size, ...which } });
  return stream.getVideoTracks()[0] as MediaStreamTrack;
}

/** Opens a microphone. */
export async function openMicrophone(id: string | null): Promise<MediaStreamTrack> {
  const which = id === null ? {} : { deviceId: { exact: id } };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { ...which, echoCancellation: false } });
  return stream.getAudioTracks()[0] as MediaStreamTrack;
}

/** As often as the app's microphone tells its level. */
const LEVEL_EVERY_MS = 33;
/** PCM samples that a level covers: 43 ms at 48 kHz. */
const WINDOW = 2048;

/** Tells the level of a microphone until it is ended. */
export function watchLevel(track: MediaStreamTrack, tell: (level: Level) => void): () => void {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = WINDOW;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(WINDOW);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    tell(levelOf(samples));
  }, LEVEL_EVERY_MS);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}

/** The level of PCM samples between −1 and 1. */
export function levelOf(samples: Float32Array): Level {
  let peak = 0;
  let squares = 0;
  for (const sample of samples) {
    peak = Math.max(peak, Math.abs(sample));
    squares += sample * sample;
  }
  const rms = Math.sqrt(squares / Math.max(1, samples.length));
  return { peak_dbfs: toDbfs(peak), rms_dbfs: toDbfs(rms), clipped: peak >= 1 };
}

function toDbfs(amplitude: number): number {
  return Math.max(-100, 20 * Math.log10(Math.max(amplitude, 1e-9)));
}
