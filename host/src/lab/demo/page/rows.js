// A list that keeps only the rows in view, as sites do with long answers: what is scrolled away is not in the document.

import { name } from '/answer.js';
import { markdown } from '/markdown.js';

const GUESS = 48;
const BEYOND = 80;

export class Rows {
  constructor() {
    this.box = name(document.createElement('div'), 'rows');
    this.box.className = 'rows';
    this.box.tabIndex = 0;
    this.sheet = document.createElement('div');
    this.box.append(this.sheet);
    this.blocks = [];
    this.heights = [];
    this.atEnd = true;
    this.box.addEventListener('scroll', () => {
      this.atEnd = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 40;
      this.place();
    });
  }

  // Every block of the answer is a row.
  show(text, status) {
    this.blocks = [...markdown(text).children];
    this.heights.length = Math.max(0, this.blocks.length - 1);
    this.box.dataset.rows = this.blocks.length;
    this.box.dataset.state = status;
  }

  place() {
    // Heights are known only of what has been shown; each round may show more.
    for (let round = 0; round < 4; round += 1) {
      if (this.atEnd) this.box.scrollTop = this.box.scrollHeight;
      const from = this.box.scrollTop - BEYOND;
      const to = this.box.scrollTop + this.box.clientHeight + BEYOND;
      const shown = [];
      let top = 0;
      this.blocks.forEach((block, n) => {
        const height = this.heights[n] ?? GUESS;
        if (top + height >= from && top <= to) shown.push(this.row(block, n, top));
        top += height;
      });
      this.sheet.style.height = `${top}px`;
      this.sheet.replaceChildren(...shown);
      let settled = true;
      for (const row of shown) {
        const height = row.offsetHeight;
        if (height && this.heights[row.dataset.row] !== height) {
          this.heights[row.dataset.row] = height;
          settled = false;
        }
      }
      if (settled) return;
    }
  }

  row(block, n, top) {
    const row = name(document.createElement('div'), 'row');
    row.dataset.row = n;
    row.style.top = `${top}px`;
    row.append(block.cloneNode(true));
    return row;
  }
}
