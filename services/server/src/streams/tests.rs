use eventlog::store::memory::Memory;
use release::calendar::Calendar;
use release::wire::FORMATS;

use super::*;

#[tokio::test]
async fn given_a_stream_that_is_being_given_up_when_it_is_read_then_it_is_folded_again() {
    let format = Arc::new(Format::new(&FORMATS));
    let streams = Streams::<Calendar>::new(Arc::new(Memory::new()), format, 1 << 20);
    let stream = StreamId::new("calendar-default").unwrap();
    let slot = streams.load(&stream).await.unwrap();
    assert!(Arc::ptr_eq(&slot, &streams.load(&stream).await.unwrap()));
    // Nobody moves it on any more, and the cache has it still.
    slot.retire();
    assert!(!Arc::ptr_eq(&slot, &streams.load(&stream).await.unwrap()));
}
