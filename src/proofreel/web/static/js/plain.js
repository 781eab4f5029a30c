// Pages with nothing of their own to run: sign in, errors.

import { startPage } from "./page.js";

startPage();
