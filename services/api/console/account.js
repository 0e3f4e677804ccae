/** What is left of the tokens, in the bar at the top. */

import { number } from "./format.js";

const TRIES = 12;
const PAUSE_MS = 700;

export class Account {
  constructor(api) {
    this.api = api;
    this.balance = null;
  }

  /** Shows the balance as it is now. Raises ApiError. */
  async refresh() {
    const { body } = await this.api.call("GET", "/api/tokens/balance");
    this.balance = body;
    const place = document.getElementById("balance");
    place.textContent = number(body.balance);
    place.closest("a").classList.toggle("spent", body.balance <= 0);
    return body;
  }

  /** Follows it until what happened at `iso` is accounted for: charges come a moment after results. */
  async follow(iso) {
    for (let turn = 0; turn < TRIES; turn += 1) {
      try {
        const { asOf } = await this.refresh();
        if (new Date(asOf) > new Date(iso)) return;
      } catch {
        // The next turn may do better; a balance that is not current is not worth a message.
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
