/** Items in messages of a bounded number each, lazily. Sizes in bytes are bounded too where an item can be large. */
export function* pages<Item>(
  items: Iterable<Item>,
  limits: { readonly items: number; readonly bytes?: number },
  sizeOf: (item: Item) => number = () => 0,
): Generator<Item[]> {
  let page: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = sizeOf(item);
    if (page.length >= limits.items || (page.length > 0 && bytes + size > (limits.bytes ?? Infinity))) {
      yield page;
      page = [];
      bytes = 0;
    }
    page.push(item);
    bytes += size;
  }
  if (page.length > 0) yield page;
}

/** What `convert` makes of each item, lazily. */
export function* map<Item, Result>(
  items: Iterable<Item>,
  convert: (item: Item) => Result,
): Generator<Result> {
  for (const item of items) yield convert(item);
}

/** The first `count` of the items that `accept` accepts, lazily. */
export function* take<Item>(
  items: Iterable<Item>,
  count: number,
  accept: (item: Item) => boolean = () => true,
): Generator<Item> {
  let taken = 0;
  for (const item of items) {
    if (!accept(item)) continue;
    if (taken >= count) return;
    taken += 1;
    yield item;
  }
}
