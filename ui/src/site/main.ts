import '../lib/design/base.css';
import './site.css';

import { mount } from 'svelte';

import { Theme } from '../lib/controllers/theme.svelte';
import { AccessToken } from '../lib/server/access_token';
import { Server } from '../lib/server/server';
import { routeOf } from './route';
import Site from './Site.svelte';

new Theme(document.documentElement, localStorage);
// A page that a browser has kept and shows again has hung up everything: it begins anew.
window.addEventListener('pageshow', ({ persisted }) => {
  if (persisted) location.reload();
});
const target = document.getElementById('app');
if (!target) throw new Error('site.html has no element with the id `app`.');
const token = new AccessToken(sessionStorage, location, history);
mount(Site, { target, props: { server: new Server('', () => token.get()), token, route: routeOf(location) } });
