// What plugin code finds in the phase `rewrite`.
/// <reference path="./every-phase.d.ts" />
/// <reference path="./exit.d.ts" />
/// <reference path="./say.d.ts" />
