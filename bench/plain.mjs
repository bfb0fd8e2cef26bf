// What most bridges to chat sites do: a Node script with Playwright that types, clicks, and waits for the whole response.
// It runs in this process and answers by a function's return, so that it is spared the HTTP hop that the program has.

import { createRequire } from 'node:module';

const ENTRY = 'http://demo.localhost/';

export class Plain {
  static async start(context, demoPort) {
    const { chromium } = createRequire(`${context.clients}/`)('playwright-core');
    const plain = new Plain();
    plain.failures = 0;
    plain.browser = await chromium.launch({
      executablePath: context.chromium,
      headless: true,
      args: [`--host-resolver-rules=MAP demo.localhost:80 127.0.0.1:${demoPort}`, ...(process.getuid() === 0 ? ['--no-sandbox'] : [])],
    });
    plain.page = await plain.browser.newPage();
    await plain.back();
    return plain;
  }

  /// Makes the page ready for the next prompt, as the program does between requests.
  async back() {
    await this.page.goto(ENTRY);
    await this.page.waitForSelector('body[data-ready]');
  }

  async ask(prompt) {
    const { page } = this;
    if (await page.getByTestId('model-name').textContent() !== 'Script') {
      await page.getByTestId('model-picker').click();
      await page.getByTestId('model-script').click();
    }
    await page.getByTestId('composer').fill(prompt);
    const answered = page.waitForResponse((response) => response.url().endsWith('/api/chat') && response.request().method() === 'POST');
    await page.getByTestId('send').click();
    return (await (await answered).body()).toString();
  }

  async stop() {
    await this.browser.close();
  }
}
