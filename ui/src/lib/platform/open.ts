import type { Platform } from './platform';

/**
 * The platform that this page runs on: the app's shell, or the simulation in its own build and, in a development
 * build, at `?platform=simulated`. A production build holds no simulation.
 */
export async function openPlatform(query: URLSearchParams): Promise<Platform> {
  if (import.meta.env.MODE === 'simulated') return simulated(query);
  if (import.meta.env.DEV && query.get('platform') === 'simulated') return simulated(query);
  const { TauriPlatform } = await import('./tauri/platform');
  return new TauriPlatform();
}

async function simulated(query: URLSearchParams): Promise<Platform> {
  const { SimulatedPlatform } = await import('./simulated/platform');
  return SimulatedPlatform.fromQuery(query);
}
