/** Full screen for a tile, or back. On an iPhone only the picture itself can be it. */
export async function enterFullscreen(tile: HTMLElement): Promise<void> {
  if (document.fullscreenElement) return document.exitFullscreen();
  if (tile.requestFullscreen) return tile.requestFullscreen().catch(() => {});
  const video = tile.querySelector('video') as (HTMLVideoElement & { webkitEnterFullscreen?: () => void }) | null;
  video?.webkitEnterFullscreen?.();
}

/** Picture in picture for a tile, or back. */
export async function togglePictureInPicture(tile: HTMLElement): Promise<void> {
  const video = tile.querySelector('video');
  if (!video || !document.pictureInPictureEnabled) return;
  // Refused before the first picture is there; nothing to say about it.
  if (document.pictureInPictureElement === video) await document.exitPictureInPicture().catch(() => {});
  else await video.requestPictureInPicture().catch(() => {});
}
