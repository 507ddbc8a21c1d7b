// A browser on the site, with a network that is made up.
import { fileURLToPath } from 'node:url';

import { contexts, launch } from './screen.mjs';
import { serve } from './serve.mjs';
import { SITE_SCENES } from './site_scenes.mjs';

/** `show` opens a scene once it is as it will stay; what the page complains about is collected in `complaints`. */
export async function openSite() {
  const site = await serve(fileURLToPath(new URL('../dist-site', import.meta.url)), 'site.html');
  const browser = await launch();
  const contextFor = contexts(browser);
  const complaints = [];

  async function show(name, theme, size) {
    const scene = SITE_SCENES[name];
    const page = await (await contextFor(theme, size)).newPage();
    page.setDefaultTimeout(30_000);
    const complain = (text) => complaints.push(`${name}, ${theme}, ${size.name}: ${text}`);
    page.on('console', (message) => {
      // Refusals are what some scenes are about; and axe remarks that pictures which nobody sends do not come.
      const isMeant = ['Failed to load resource', 'axe.utils.preloadMedia'].some((begin) => message.text().startsWith(begin));
      if (['error', 'warning'].includes(message.type()) && !isMeant) complain(message.text());
    });
    page.on('pageerror', (error) => complain(String(error)));
    await page.addInitScript(fakePeers);
    if (scene.before) await page.addInitScript(scene.before);
    await page.route(/\/(api|whep|whip|hls)\//, (route) => answer(route, scene));
    await page.routeWebSocket(/\/ws\/rooms\//, (socket) => {
      if (!scene.messages) return socket.close();
      socket.onMessage(() => {
        for (const message of scene.messages) socket.send(JSON.stringify(message));
      });
    });
    await page.goto(site.address + scene.path);
    await page.getByTestId(scene.until).first().waitFor();
    await scene.step?.(page);
    return page;
  }

  async function close() {
    await browser.close();
    await site.close();
  }

  return { show, close, complaints };
}

async function answer(route, scene) {
  const request = route.request();
  const path = new URL(request.url()).pathname;
  if (/^\/wh[ei]p\//.test(path)) {
    const headers = { location: `${path}/1`, 'content-type': 'application/sdp' };
    return route.fulfill({ status: request.method() === 'POST' ? 201 : 200, headers, body: 'v=0' });
  }
  const found = Object.entries(scene.api ?? {}).find(([begin]) => path.startsWith(begin));
  const body = found?.[1] ?? { code: 'not_found', message: 'There is nothing at this address.', retryable: false };
  const statuses = { unauthorized: 401, forbidden: 403, removed: 403, room_closed: 410, not_found: 404 };
  return route.fulfill({ status: statuses[body.code] ?? 200, json: body });
}

/** A peer connection that is connected at once and brings a picture that the page itself draws. */
function fakePeers() {
  globalThis.RTCPeerConnection = class extends EventTarget {
    connectionState = 'new';
    addTransceiver() {
      return { sender: { replaceTrack: async () => {} }, setCodecPreferences() {} };
    }
    async createOffer() {
      return { type: 'offer', sdp: 'v=0' };
    }
    async setLocalDescription(description) {
      this.localDescription = description;
    }
    async setRemoteDescription() {
      const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
      const context = canvas.getContext('2d');
      let at = 0;
      const draw = () => {
        const sky = context.createLinearGradient(0, 0, 640, 360);
        sky.addColorStop(0, '#27476e');
        sky.addColorStop(1, '#d98c5f');
        context.fillStyle = sky;
        context.fillRect(0, 0, 640, 360);
        context.fillStyle = '#1c2b22';
        context.beginPath();
        context.moveTo(0, 300);
        for (let x = 0; x <= 640; x += 20) context.lineTo(x, 270 + 40 * Math.sin(x / 90 + at / 30));
        context.lineTo(640, 360);
        context.lineTo(0, 360);
        context.fill();
        at += 1;
      };
      draw();
      this.timer = setInterval(draw, 100);
      const [track] = canvas.captureStream(10).getTracks();
      this.ontrack?.({ track, receiver: {} });
      this.connectionState = 'connected';
      this.onconnectionstatechange?.();
    }
    async getStats() {
      const now = performance.now();
      const video = { type: 'inbound-rtp', kind: 'video', bytesReceived: now * 260, framesDecoded: Math.floor(now * 0.03) };
      Object.assign(video, { packetsReceived: Math.floor(now / 4), packetsLost: 0, jitter: 0.004 });
      Object.assign(video, { jitterBufferDelay: 12, jitterBufferEmittedCount: 400 });
      const pair = { type: 'candidate-pair', state: 'succeeded', currentRoundTripTime: 0.022 };
      return new Map([['1', video], ['2', { type: 'inbound-rtp', kind: 'audio', audioLevel: 0.2 }], ['3', pair]]);
    }
    close() {
      clearInterval(this.timer);
    }
  };
}
