//! Memory types, which a leaf selects by three of its bits: PWT, PCD and PAT are an index into the page attribute table
//! (Intel SDM volume 3, 13.12; AMD APM volume 2, 7.8).

/// How the CPU caches accesses through a leaf, unless the MTRRs say less.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MemoryType {
    /// WB: as RAM.
    WriteBack,
    /// WC: writes are gathered, nothing is cached: frame buffers.
    WriteCombining,
    /// UC-: not cached, unless an MTRR says WC.
    UncacheableMinus,
    /// UC: not cached and in program order: device registers.
    Uncacheable,
    /// WP: reads are cached, writes go to memory and drop the line.
    WriteProtected,
    /// WT: reads are cached, writes go to cache and memory.
    WriteThrough,
}

impl MemoryType {
    /// What each index selects. It is Linux's table: the first four differ from the reset state in WC alone, for WT, so code
    /// that uses the reset state's UC finds it.
    const TABLE: [MemoryType; 8] = [
        MemoryType::WriteBack,
        MemoryType::WriteCombining,
        MemoryType::UncacheableMinus,
        MemoryType::Uncacheable,
        MemoryType::WriteBack,
        MemoryType::WriteProtected,
        MemoryType::UncacheableMinus,
        MemoryType::WriteThrough,
    ];

    /// What the register IA32_PAT has to hold on every CPU.
    pub const PAT: u64 = {
        let mut register = 0;
        let mut index = 0;
        while index < 8 {
            register |= MemoryType::TABLE[index].encoding() << (8 * index);
            index += 1;
        }
        register
    };

    /// The type's number in IA32_PAT (SDM table 13-10).
    const fn encoding(self) -> u64 {
        match self {
            MemoryType::Uncacheable => 0,
            MemoryType::WriteCombining => 1,
            MemoryType::WriteThrough => 4,
            MemoryType::WriteProtected => 5,
            MemoryType::WriteBack => 6,
            MemoryType::UncacheableMinus => 7,
        }
    }

    /// The lowest index that selects it.
    pub(in crate::mm::page_table) const fn index(self) -> u64 {
        match self {
            MemoryType::WriteBack => 0,
            MemoryType::WriteCombining => 1,
            MemoryType::UncacheableMinus => 2,
            MemoryType::Uncacheable => 3,
            MemoryType::WriteProtected => 5,
            MemoryType::WriteThrough => 7,
        }
    }

    /// What an index, 0 to 7, selects.
    pub(in crate::mm::page_table) const fn at(index: u64) -> MemoryType {
        MemoryType::TABLE[index as usize % 8]
    }
}

const _: () = {
    let mut index = 0;
    while index < 8 {
        let named = MemoryType::at(MemoryType::at(index).index());
        assert!(named as u8 == MemoryType::at(index) as u8);
        index += 1;
    }
    assert!(MemoryType::PAT == 0x0407_0506_0007_0106);
};
