/** Metrics whose values are looked up at every scrape. */
import { Counter, Gauge, type Registry } from 'prom-client';

/** A gauge whose value is looked up at every scrape. */
export function watched(registry: Registry, name: string, help: string, value: () => number): void {
  const gauge: Gauge = new Gauge({ name, help, registers: [registry], collect: () => gauge.set(value()) });
}

/** A counter that something else counts, looked up at every scrape. */
export function counted<Label extends string = never>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: Label[],
  add: (counter: Counter<Label>) => void,
): void {
  const counter: Counter<Label> = new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect: () => {
      counter.reset();
      add(counter);
    },
  });
}
