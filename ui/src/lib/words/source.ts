import type { DeviceOption, Input, Quality, Source } from '../platform/types';
import { bitsPerSecond } from './format';

/** A source as a text that two equal sources share: what a choice is compared by. */
export function sourceKey(source: Source): string {
  return source.kind === 'device' ? `device ${source.id}` : source.kind;
}

/** The camera after the current one, round and round; `null` when there is nothing to switch to. */
export function nextCamera(current: Source, openName: string | null, cameras: DeviceOption[]): Source | null {
  if (cameras.length < 2) return null;
  const at =
    current.kind === 'device'
      ? cameras.findIndex((camera) => camera.id === current.id)
      : cameras.findIndex((camera) => camera.name === openName);
  const next = cameras[(at + 1) % cameras.length];
  return next ? { kind: 'device', id: next.id } : null;
}

/** `1280 × 720, 30 fps, 2.5 Mbit/s` */
export function qualityWords(quality: Quality): string {
  return `${quality.width} × ${quality.height}, ${quality.fps} fps, ${bitsPerSecond(quality.video_bitrate_bps)}`;
}

/** True if every figure is the same. */
export function sameQuality(one: Quality, other: Quality): boolean {
  return (Object.keys(one) as (keyof Quality)[]).every((figure) => one[figure] === other[figure]);
}

/** What can be chosen for one input. A chosen device that is not connected stays in the list. */
export function sourceChoices(
  syntheticName: string,
  chosen: Source,
  input: Input,
  options: DeviceOption[],
): { key: string; name: string; detail?: string }[] {
  const automatic = { key: 'auto', name: 'Automatic' };
  const devices = options.map(({ id, name }) => ({ key: sourceKey({ kind: 'device', id }), name }));
  const choices = [
    chosen.kind === 'auto' && input.name ? { ...automatic, detail: input.name } : automatic,
    ...devices,
    { key: 'synthetic', name: syntheticName },
  ];
  const key = sourceKey(chosen);
  if (choices.some((choice) => choice.key === key)) return choices;
  return [...choices, { key, name: input.name ?? 'The chosen device', detail: 'Not connected' }];
}

/** The source that `sourceKey` made the key from. */
export function sourceFromKey(key: string): Source {
  if (key === 'auto' || key === 'synthetic') return { kind: key };
  return { kind: 'device', id: key.slice('device '.length) };
}
