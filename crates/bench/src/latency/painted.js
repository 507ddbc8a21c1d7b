// Reads the capture time out of each picture that the page's first video element paints.
//
// The time stands in two rows of 26 black or white blocks at the bottom of the picture; the layout is that of
// `capture::synthetic`'s time code. `window.painted` has `firstMs`, when the first picture was painted after the page's
// begin, and `pictures`: of each the capture time in the session and when it was painted, in ms since 1970.
window.painted = { firstMs: null, pictures: [], unreadable: 0 };
{
  const COLUMNS = 26;
  const ROWS = 2;
  const CELL = 4;
  const canvas = document.createElement('canvas');
  canvas.width = COLUMNS * CELL;
  canvas.height = ROWS * CELL;
  const context = canvas.getContext('2d', { willReadFrequently: true });

  const crc32 = (bytes) => {
    let crc = 0xffffffff;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return (crc ^ 0xffffffff) >>> 0;
  };

  const readMs = (video) => {
    const { videoWidth: width, videoHeight: height } = video;
    const blockHeight = height / 16 > 8 ? Math.floor(height / 16) & ~1 : 8;
    const rows = ROWS * blockHeight;
    context.drawImage(video, 0, height - rows, width, rows, 0, 0, canvas.width, canvas.height);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const bits = [];
    for (let row = 0; row < ROWS; row += 1) {
      for (let column = 0; column < COLUMNS; column += 1) {
        const [x, y] = [column * CELL + CELL / 2, row * CELL + CELL / 2];
        bits.push(data[4 * (y * canvas.width + x)] > 127 ? 1 : 0);
      }
    }
    const number = (from, to) => bits.slice(from, to).reduce((sum, bit) => sum * 2 + bit, 0);
    const ms = number(2, 34);
    const bytes = [24, 16, 8, 0].map((shift) => (ms >>> shift) & 0xff);
    const isWhole = (crc32(bytes) & 0xffff) === number(34, 50);
    return isWhole ? ms : null;
  };

  const follow = (video) => {
    video.requestVideoFrameCallback((now, { expectedDisplayTime }) => {
      const { painted } = window;
      painted.firstMs ??= expectedDisplayTime;
      const captureMs = readMs(video);
      if (captureMs === null) painted.unreadable += 1;
      else painted.pictures.push([captureMs, Date.now() + expectedDisplayTime - performance.now()]);
      follow(video);
    });
  };

  const found = new MutationObserver(() => {
    const video = document.querySelector('video');
    if (!video) return;
    found.disconnect();
    follow(video);
  });
  found.observe(document, { childList: true, subtree: true });
}
