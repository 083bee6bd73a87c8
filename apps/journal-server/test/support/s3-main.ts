/** `node scripts/s3-server.mjs [--port N]`: the S3 server of the tests, in the foreground. */
import { parseArgs } from 'node:util';
import { S3Server } from './s3-server.ts';

const { values } = parseArgs({ options: { port: { type: 'string', default: '0' } } });
const server = await S3Server.start({}, Number(values.port));
process.stdout.write(
  `export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test\npact-journal dev --backup-url '${server.url('dev')}'\n`,
);
