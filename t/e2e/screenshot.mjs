/*
 * Makes the picture for the README: two windows that talk to each other, a
 * light one and, as wide as a phone, a dark one.
 *
 *     node t/e2e/screenshot.mjs FILE.png
 */

import { launch, Window } from './browser.mjs';
import { withServer } from './server.mjs';

const file = process.argv[2];

if (!file) {
    console.error('usage: node t/e2e/screenshot.mjs FILE.png');
    process.exit(2);
}

const talk = [
    [0, 'Is the new server up?'],
    [1, 'Since lunch. It is one nginx, and that is all of it.'],
    [0, 'No Rails, no Redis, no bill?'],
    [1, 'A load_module and some twenty lines.'],
    [1, 'This page is plain pusher-js, only the host has changed.'],
    [0, 'And if I restart it while we talk?'],
    [1, 'Try. The page reconnects and reads what it missed.'],
];


async function picture(browser, server) {
    const windows = [
        await Window.open(browser, server.url, {
            colorScheme: 'light', deviceScaleFactor: 1.5,
            viewport: { width: 560, height: 640 } }),
        await Window.open(browser, server.url, {
            colorScheme: 'dark', deviceScaleFactor: 1.5,
            viewport: { width: 360, height: 640 } }),
    ];

    await Promise.all(windows.map((window) => window.live()));

    for (const [i, [who, text]] of talk.entries()) {
        await windows[who].send(text);

        for (const window of windows) {
            await window.shows(talk.slice(0, i + 1).map((said) => said[1]));
        }
    }

    const pictures = [];

    for (const { page } of windows) {
        const png = await page.screenshot({ caret: 'hide' });

        pictures.push(`<img height="640" src="data:image/png;base64,`
                      + `${png.toString('base64')}">`);
    }

    const page = await browser.newPage({ deviceScaleFactor: 1.5 });

    await page.setContent(`<style>
        body { display: inline-flex; gap: 24px; margin: 0; padding: 24px; }
        img { border-radius: 12px; box-shadow: 0 2px 14px rgb(0 0 0 / 35%); }
        </style>${pictures.join('')}`);
    await page.locator('body').screenshot({ path: file,
                                            omitBackground: true });
}


const browser = await launch();

try {
    await withServer({ demo: true }, (server) => picture(browser, server));

} finally {
    await browser.close();
}
