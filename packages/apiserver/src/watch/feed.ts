/**
 * Items that come over time to one reader, who takes what is there without waiting. A promise for every step of every item is more than a thousand
 * watchers of one event can afford. For readers that are few, {@link iterate}.
 */
export interface Feed<T> {
  /** The next item; `undefined` where none is there now. @throws what broke the feed; it is over then. */
  take(): T | undefined;
  /** Nothing is there, and nothing more will come. */
  readonly isOver: boolean;
  /** Has `wake` called whenever there may be something after {@link take} gave nothing; it may also be called in vain. One at a time. */
  onReady(wake: () => void): void;
  /** The reader wants no more. May be called twice. */
  close(): void;
}

/** A feed for those who wait for each item. Leaving the loop closes it. */
export async function* iterate<T>(feed: Feed<T>): AsyncGenerator<T, void, undefined> {
  let wake: (() => void) | undefined;
  let isReady = false;
  feed.onReady(() => {
    isReady = true;
    wake?.();
  });
  try {
    for (;;) {
      isReady = false;
      const item = feed.take();
      if (item !== undefined) yield item;
      else if (feed.isOver) return;
      else if (!isReady) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    feed.close();
  }
}

/** What `feed` gives, each as `map` makes it. */
export function mapped<T, U extends object>(feed: Feed<T>, map: (item: T) => U): Feed<U> {
  return {
    take() {
      const item = feed.take();
      return item === undefined ? undefined : map(item);
    },
    get isOver() {
      return feed.isOver;
    },
    onReady: (wake) => feed.onReady(wake),
    close: () => feed.close(),
  };
}

/** `feed`, which calls `ended` once it is closed. Every reader closes what it reads, whether it came to its end or not. */
export function whenClosed<T>(feed: Feed<T>, ended: () => void): Feed<T> {
  let isOpen = true;
  return {
    take: () => feed.take(),
    get isOver() {
      return feed.isOver;
    },
    onReady: (wake) => feed.onReady(wake),
    close() {
      feed.close();
      if (isOpen) ended();
      isOpen = false;
    },
  };
}
