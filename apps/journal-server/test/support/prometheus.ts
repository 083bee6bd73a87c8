/** A real Prometheus (Debian: prometheus) and its promtool. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from './test-cluster.ts';

export interface ToolResult {
  readonly code: number | null;
  readonly output: string;
}

/** Runs promtool with the text on its standard input. */
export function promtool(args: readonly string[], stdin = '', cwd = process.cwd()): Promise<ToolResult> {
  const child = spawn('promtool', args, { cwd });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stdin.end(stdin);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ code, output });
    });
  });
}

/** A sample of an instant query. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

export interface Rule {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
  readonly state: string;
}

export class PrometheusServer {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #url: string;
  readonly #exited: Promise<unknown>;

  private constructor(child: ChildProcess, directory: string, url: string) {
    this.#child = child;
    this.#directory = directory;
    this.#url = url;
    this.#exited = new Promise((resolve) => child.once('close', resolve));
  }

  /** Scrapes the targets once a second and evaluates the rules. */
  static async start(targets: readonly string[], rulesFile: string): Promise<PrometheusServer> {
    const directory = await mkdtemp(join(tmpdir(), 'pact-prometheus-'));
    const config = {
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [rulesFile],
      scrape_configs: [{ job_name: 'pact-journal', static_configs: [{ targets }] }],
    };
    // JSON is YAML.
    await writeFile(join(directory, 'prometheus.yml'), JSON.stringify(config));
    const address = `127.0.0.1:${String(await freePorts(1))}`;
    const child = spawn(
      'prometheus',
      [
        `--config.file=${join(directory, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(directory, 'data')}`,
        `--web.listen-address=${address}`,
        '--log.level=error',
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    return new PrometheusServer(child, directory, `http://${address}`);
  }

  /** Rejects where Prometheus does not accept the expression. */
  async query(expression: string): Promise<readonly Sample[]> {
    const { result } = await this.#get<{ result: readonly Sample[] }>(
      `/api/v1/query?query=${encodeURIComponent(expression)}`,
    );
    return result;
  }

  /** Names of all metrics that it has seen. */
  metricNames(): Promise<readonly string[]> {
    return this.#get('/api/v1/label/__name__/values');
  }

  async rules(): Promise<readonly Rule[]> {
    const { groups } = await this.#get<{ groups: readonly { rules: readonly Rule[] }[] }>('/api/v1/rules');
    return groups.flatMap(({ rules }) => rules);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#exited;
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #get<Data>(path: string): Promise<Data> {
    const response = await fetch(`${this.#url}${path}`, { signal: AbortSignal.timeout(5_000) });
    const answer = (await response.json()) as { status: string; error?: string; data: Data };
    if (answer.status !== 'success') throw new Error(`${path}: ${String(answer.error)}`);
    return answer.data;
  }
}
