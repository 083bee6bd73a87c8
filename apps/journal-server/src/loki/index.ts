export { LokiShipper } from './shipper.ts';
export type { LokiLag, LokiObserver, LokiShipperOptions } from './shipper.ts';
export type { LokiTarget } from './push.ts';
