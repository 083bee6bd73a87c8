/** A disk that loses, tears, fills up, fails and rots, and a harness that cuts its power at every system call. */
export { exploreCrashes } from './crash-explorer.ts';
export type { CrashExploration, CrashExplorationOptions } from './crash-explorer.ts';
export { crashImages } from './crash-images.ts';
export type { CrashImageOptions } from './crash-images.ts';
export { FaultyFileSystem } from './faulty-file-system.ts';
export type { CallObserver, InjectedFault, SystemCall } from './faulty-file-system.ts';
export { MemoryDisk } from './memory-disk.ts';
export type { DirectoryNode, DiskNode, Fate, FileNode } from './memory-disk.ts';
