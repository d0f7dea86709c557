// The card's own shim: one call a clock, with everything that crosses the boundary in two packed structures.
// hardware.rs has the same two, and says in a test that their sizes agree.
struct In {
    uint32_t rx_data[4];
    uint32_t mrd_data[4];
    uint32_t erx_data[4];
    uint16_t mdone_tag;
    uint8_t reset, rx_valid, rx_keep, rx_sop, rx_eop, tx_ready;
    uint8_t mreq_ready, mrd_valid, mrd_last, mrd_error, mrd_hole, mwr_ready, mdone_valid, mdone_result, mget_ready;
    uint8_t erx_valid, erx_sop, erx_eop, erx_bytes, erx_error, etx_ready;
    uint8_t pad[1];
};
struct Out {
    uint32_t tx_data[4];
    uint32_t mwr_data[4];
    uint32_t etx_data[4];
    uint64_t mreq_lba, mreq_blocks;
    uint16_t mreq_tag, mget_tag;
    uint8_t mreq_volume, mreq_op, mreq_fua, mreq_valid;
    uint8_t rx_ready, tx_valid, tx_keep, tx_sop, tx_eop;
    uint8_t mrd_ready, mwr_valid, mwr_last, mwr_spoilt, mdone_ready, mget_valid, busy;
    /* How many clocks ago a check failed, and one; 0 if none did. */
    uint8_t failed, awake;
    uint8_t erx_ready, etx_valid, etx_sop, etx_eop, etx_bytes, pad[5];
};
static_assert(sizeof(In) == 72 && sizeof(Out) == 96, "hardware.rs has these sizes");

struct Sim {
    VerilatedContext* context;
    MODEL* top;
    Wave* wave;
    /* Clocks so far, and of which waves are written, both ends included. */
    uint64_t clock, from, to;
    /* Engines that the edge of this clock means something to, a bit each; and those that are clocked always. */
    uint32_t awake, always;
};

EXPORT Sim* card_new(uint32_t seed) {
    auto* c = new VerilatedContext;
    start(c, seed);
    auto* s = new Sim{c, new MODEL{c, "azote_card"}, nullptr, 0, 0, 0, 0, 0};
    s->top->clock = 0;
    s->top->eval();
    return s;
}
EXPORT void card_always(Sim* s) { s->always = ~0u; }
/* The level of all clocks: high is the edge of the clock before, of the engines for which it means something. */
static inline void clocks(Sim* s, bool level) {
    const uint32_t engines = level ? s->awake : 0;
    s->top->clock = level;
    s->top->engine_clock_0 = engines & 1;
    s->top->engine_clock_1 = engines >> 1 & 1;
    s->top->engine_clock_2 = engines >> 2 & 1;
}
EXPORT void card_free(Sim* s) {
    if (!VM_TRACE && s->clock) {
        clocks(s, true);
        s->top->eval();
    }
    release(s);
}
EXPORT int32_t card_trace(Sim* s, const char* path, uint64_t from, uint64_t to, const char* blocks) {
    wave_close(s->wave);
    s->wave = nullptr;
    s->from = from;
    s->to = to;
    return path ? wave_open(s->top, s->context, &s->wave, path, blocks) : 0;
}
// A clock is a nanosecond of a picosecond each in the wave file, so that what a viewer shows as a time is a clock's number:
// its inputs and what follows from them from the beginning on, its edge in the middle.
static inline void step(Sim* s, uint64_t half) {
    s->top->eval();
    if (s->from <= s->clock && s->clock <= s->to) {
        s->context->time(s->clock * 1000 + half * 500);
        wave_dump(s->wave, s->context);
    }
}
// The inputs stand behind registers (held.rs of azote-verilate), whose clock is `load`: they change as registers do. So one
// evaluation does the edge of the clock before and brings this clock's inputs, and what follows from both settles once; what is
// left, that both clocks fall, wakes nothing. The edge of a clock is thus done as the next one begins, or at the end. With waves it
// has a moment of its own in each clock, and is done there. An engine that is not awake has no edge: nothing in it would change.
EXPORT void card_cycle(Sim* s, const In* i, Out* o) {
    auto* t = s->top;
    t->reset_in = i->reset;
    t->rx_valid_in = i->rx_valid;
    t->rx_keep_in = i->rx_keep;
    t->rx_sop_in = i->rx_sop;
    t->rx_eop_in = i->rx_eop;
    t->tx_ready_in = i->tx_ready;
    t->mreq_ready_in = i->mreq_ready;
    t->mrd_valid_in = i->mrd_valid;
    t->mrd_last_in = i->mrd_last;
    t->mrd_error_in = i->mrd_error;
    t->mrd_hole_in = i->mrd_hole;
    t->mwr_ready_in = i->mwr_ready;
    t->mdone_valid_in = i->mdone_valid;
    t->mdone_result_in = i->mdone_result;
    t->mdone_tag_in = i->mdone_tag;
    t->mget_ready_in = i->mget_ready;
    t->erx_valid_in = i->erx_valid;
    t->erx_sop_in = i->erx_sop;
    t->erx_eop_in = i->erx_eop;
    t->erx_bytes_in = i->erx_bytes;
    t->erx_error_in = i->erx_error;
    t->etx_ready_in = i->etx_ready;
    for (int k = 0; k < 4; ++k) {
        t->rx_data_in[k] = i->rx_data[k];
        t->mrd_data_in[k] = i->mrd_data[k];
        t->erx_data_in[k] = i->erx_data[k];
    }
    const bool due = !VM_TRACE && s->clock;
    clocks(s, due);
    t->load = 1;
    step(s, 0);
    s->awake = i->reset ? ~0u : t->awake | s->always;
    for (int k = 0; k < 4; ++k) {
        o->tx_data[k] = t->tx_data[k];
        o->mwr_data[k] = t->mwr_data[k];
        o->etx_data[k] = t->etx_data[k];
    }
    o->mreq_lba = t->mreq_lba;
    o->mreq_blocks = t->mreq_blocks;
    o->mreq_tag = t->mreq_tag;
    o->mget_tag = t->mget_tag;
    o->mget_valid = t->mget_valid;
    o->mreq_volume = t->mreq_volume;
    o->mreq_op = t->mreq_op;
    o->mreq_fua = t->mreq_fua;
    o->mreq_valid = t->mreq_valid;
    o->rx_ready = t->rx_ready;
    o->tx_valid = t->tx_valid;
    o->tx_keep = t->tx_keep;
    o->tx_sop = t->tx_sop;
    o->tx_eop = t->tx_eop;
    o->mrd_ready = t->mrd_ready;
    o->mwr_valid = t->mwr_valid;
    o->mwr_last = t->mwr_last;
    o->mwr_spoilt = t->mwr_spoilt;
    o->mdone_ready = t->mdone_ready;
    o->erx_ready = t->erx_ready;
    o->etx_valid = t->etx_valid;
    o->etx_sop = t->etx_sop;
    o->etx_eop = t->etx_eop;
    o->etx_bytes = t->etx_bytes;
    o->busy = t->busy;
    o->awake = t->awake;
    t->load = 0;
    clocks(s, VM_TRACE);
    step(s, 1);
    ++s->clock;
    o->failed = azote_failed() ? 1 + due : 0;
}
