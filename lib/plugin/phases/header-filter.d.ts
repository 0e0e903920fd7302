// What plugin code finds in the phase `header_filter`.
/// <reference path="./every-phase.d.ts" />
/// <reference path="./exit.d.ts" />
/// <reference path="./say.d.ts" />
