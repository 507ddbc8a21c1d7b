export type ThemeChoice = 'system' | 'dark' | 'light';

const KEY = 'theme';

/** Dark or light: as the system says unless a person has chosen. The document's element carries it as `data-theme`. */
export class Theme {
  choice = $state<ThemeChoice>('system');

  private readonly light = matchMedia('(prefers-color-scheme: light)');

  /**
   * @param forced stands above what is stored, and is not stored.
   */
  constructor(
    private readonly root: HTMLElement,
    private readonly store: Pick<Storage, 'getItem' | 'setItem'>,
    forced: string | null = null,
  ) {
    this.choice = toChoice(forced ?? store.getItem(KEY));
    this.light.addEventListener('change', () => this.show());
    this.show();
  }

  choose(choice: ThemeChoice): void {
    this.choice = choice;
    this.store.setItem(KEY, choice);
    this.show();
  }

  private show(): void {
    const system = this.light.matches ? 'light' : 'dark';
    this.root.dataset.theme = this.choice === 'system' ? system : this.choice;
  }
}

function toChoice(text: string | null): ThemeChoice {
  return text === 'dark' || text === 'light' ? text : 'system';
}
