#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "footprint.h"

/* What could have been written to is a copy no more, even where it may not be now. */
static void drop_segment(const struct dl_phdr_info *info, const ElfW(Phdr) * segment)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t begin = (uintptr_t)info->dlpi_addr + segment->p_vaddr;
	uintptr_t end = begin + segment->p_filesz;

	begin &= ~(page - 1);
	if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
		(void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* Code that had to be relocated is written to, too. */
static bool has_written_code(const struct dl_phdr_info *info, const ElfW(Phdr) * segment)
{
	const ElfW(Dyn) * entry;

	if (segment->p_type != PT_DYNAMIC)
		return false;
	for (entry = (const void *)(info->dlpi_addr + segment->p_vaddr);
	     entry->d_tag != DT_NULL; entry++)
		if (entry->d_tag == DT_TEXTREL ||
		    (entry->d_tag == DT_FLAGS && entry->d_un.d_val & DF_TEXTREL))
			return true;
	return false;
}

static int drop_object(struct dl_phdr_info *info, size_t size, void *userdata)
{
	(void)size;
	(void)userdata;
	for (size_t i = 0; i < info->dlpi_phnum; i++)
		if (has_written_code(info, &info->dlpi_phdr[i]))
			return 0;
	for (size_t i = 0; i < info->dlpi_phnum; i++)
		drop_segment(info, &info->dlpi_phdr[i]);
	return 0;
}

void footprint_shrink(void)
{
	(void)malloc_trim(0);
	(void)dl_iterate_phdr(drop_object, NULL);
}
