import type { TrackName } from '../words/track';

/** The parts of the settings that something can lead to. */
export type SettingsSection = 'server' | 'camera' | 'microphone' | 'quality' | 'storage';

/** Which panels are open. */
export class Screen {
  settingsOpen = $state(false);
  /** The section to show and focus when the settings open. */
  section = $state<SettingsSection | null>(null);
  details = $state<TrackName | null>(null);
  /** The settings stand before the room: both may be open. */
  roomOpen = $state(false);

  openSettings(section: SettingsSection | null = null): void {
    this.section = section;
    this.settingsOpen = true;
  }

  closeSettings(): void {
    this.settingsOpen = false;
    this.section = null;
  }

  /** Shows the room, or no longer; settings before it make way. */
  toggleRoom(): void {
    this.roomOpen = this.settingsOpen || !this.roomOpen;
    this.closeSettings();
  }

  toggleDetails(track: TrackName): void {
    this.details = this.details === track ? null : track;
  }

  /** Escape closes what was opened last. */
  escape(): boolean {
    if (this.details) this.details = null;
    else if (this.settingsOpen) this.closeSettings();
    else if (this.roomOpen) this.roomOpen = false;
    else return false;
    return true;
  }
}
