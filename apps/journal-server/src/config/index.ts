/** Configuration of a node: where it comes from, what it may say, and what is wrong with it. */
export { formatAddress, isLoopback, parseAddress, type Address } from './address.ts';
export { ConfigError, isConfigError, type ConfigErrorCode, type ConfigProblem } from './errors.ts';
export { addSettingFlags, configSources } from './flags.ts';
export { CONFIG_FILE_VARIABLE, loadConfig, type ConfigSources, type LoadedConfig } from './load.ts';
export { authenticates, hasPeerTls } from './security.ts';
export { settingsReference } from './reference.ts';
export { formatMember, type ConfiguredMember } from './members.ts';
export {
  DEFAULT_PORTS,
  settingRows,
  VARIABLE_PREFIX,
  type EffectiveSetting,
  type ServerConfig,
  type SettingRow,
} from './settings.ts';
