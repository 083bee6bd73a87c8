/** The part of liferaft 1.0.0 and memdown 3.0.0 that the benchmark uses; neither brings types. */
declare module 'liferaft' {
  export default class LifeRaft {
    static readonly LEADER: number;
    constructor(address: string, options: Record<string, unknown>);
    readonly address: string;
    readonly state: number;
    write(packet: unknown, reply: (error: Error | undefined, data?: unknown) => void): void;
    join(address: string): LifeRaft;
    command(command: unknown): Promise<void>;
    emit(event: 'data', packet: unknown, reply: (data: unknown) => void): boolean;
    on(event: string, listener: (value: unknown) => void): this;
    removeListener(event: string, listener: (value: unknown) => void): this;
    end(): boolean;
  }
}

declare module 'liferaft/log.js' {
  export default class Log {}
}

declare module 'memdown' {
  export default function memdown(path: string): unknown;
}
