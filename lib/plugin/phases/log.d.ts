// What plugin code finds in the phase `log`.
/// <reference path="./every-phase.d.ts" />
