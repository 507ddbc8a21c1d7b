import type { Session, State } from '../platform/types';
import { trackWords, type TrackWords } from '../words/track';

/**
 * What a screen reader says by itself: that something has changed, never that a number has. Politely, so that it does not
 * cut off what is being read.
 */
export class Announcements {
  text = $state('');

  take(before: State | null, after: State): void {
    if (before === null) return;
    const sentences = [...sessionChange(before.session, after.session), ...trackChanges(before, after)];
    if (sentences.length > 0) this.text = sentences.join(' ');
  }
}

function sessionChange(before: Session | null, after: Session | null): string[] {
  const kind = after?.phase.kind;
  if (!after || (before?.id === after.id && before.phase.kind === kind)) return [];
  switch (after.phase.kind) {
    case 'running':
      return ['Recording.'];
    case 'finishing':
      return ['Stopped. Sending the rest.'];
    case 'complete':
      return ['Complete. The server has everything.'];
    case 'incomplete':
      return [`Ended, and not complete. ${after.phase.problem.message}`];
  }
}

function trackChanges(before: State, after: State): string[] {
  const [videoBefore, audioBefore] = lines(before);
  const [video, audio] = lines(after);
  const videoChanged = videoBefore.phase !== video.phase;
  const audioChanged = audioBefore.phase !== audio.phase;
  // Both tracks mostly change together; said once, it is heard once.
  if (videoChanged && audioChanged && video.spoken === audio.spoken) {
    return [`Video and audio: ${video.spoken}.`];
  }
  const sentences: string[] = [];
  if (videoChanged) sentences.push(`Video: ${video.spoken}.`);
  if (audioChanged) sentences.push(`Audio: ${audio.spoken}.`);
  return sentences;
}

function lines(state: State): [TrackWords, TrackWords] {
  return [
    trackWords('video', state.camera, state.session),
    trackWords('audio', state.microphone, state.session),
  ];
}
