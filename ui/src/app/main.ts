import '../lib/design/base.css';

import { mount } from 'svelte';

import { Theme } from '../lib/controllers/theme.svelte';
import { openPlatform } from '../lib/platform/open';
import App from './App.svelte';

const query = new URLSearchParams(location.search);
const theme = new Theme(document.documentElement, localStorage, query.get('theme'));
const target = document.getElementById('app');
if (!target) throw new Error('index.html has no element with the id `app`.');
const platform = await openPlatform(query);
mount(App, { target, props: { platform, theme, withoutWebgl: query.get('renderer') === 'canvas2d' } });
